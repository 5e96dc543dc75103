/** The control interface's routes: method and path to one call of Controls, input checked on the way. */
import {
  asBoolean,
  asInteger,
  asNumber,
  asObject,
  asOneOf,
  asString,
  asStringMap,
  asStrings,
  onlyKeys,
  optional,
} from './checked-json.ts';
import type { Controls } from './controls.ts';
import type { FaultChange } from './fault-settings.ts';
import { asCloseCode } from './message-rule.ts';
import type { SessionDocument } from './session-document.ts';
import { readSsoSettings } from './sso-settings.ts';

const DONE = { ok: true };

/** Undefined: no such route. Throws USAGE for input that cannot be used. */
export async function routeControl(
  controls: Controls,
  method: string,
  path: readonly string[],
  input: unknown,
): Promise<unknown> {
  const [resource, id, action] = path;
  switch (
    `${method} ${resource ?? ''}${id === undefined ? '' : '/:id'}${action === undefined ? '' : '/:action'}`
  ) {
    case 'GET state':
      return controls.state();
    case 'GET faults':
      return controls.faults;
    // Checked setting by setting inside.
    case 'PATCH faults':
      return controls.changeFaults(input as FaultChange);
    case 'PUT faults':
      return controls.resetFaults(input as FaultChange);
    case 'PATCH behaviour':
      controls.changeBehaviour(asObject(input, 'behaviour'));
      return DONE;
    case 'PATCH clock':
      return changeClock(controls, input);
    case 'PATCH preferences':
      return changePreferences(controls, input);
    case 'POST instances':
      return controls.addInstance(asObject(input, 'instance'));
    case 'PATCH instances/:id':
      return controls.changeInstance(id ?? '', asObject(input, 'instance'));
    case 'DELETE instances/:id':
      controls.removeInstance(id ?? '');
      return DONE;
    case 'POST vpcs':
      return addVpc(controls, input);
    case 'POST documents':
      return addDocument(controls, input);
    case 'POST identities':
      return addIdentity(controls, input);
    case 'PATCH identities/:id':
      return changeIdentity(controls, id ?? '', input);
    case 'DELETE identities/:id':
      controls.removeIdentity(id ?? '');
      return DONE;
    case 'PUT roles/:id':
      controls.putNodeRole(id ?? '', asStrings(asObject(input, 'role')['policies'], 'role.policies'));
      return DONE;
    case 'PATCH sso':
      return controls.changeSso(readSsoSettings(input));
    case 'POST sso/:id':
      if (id !== 'revoke') return undefined;
      controls.revokeSsoTokens();
      return DONE;
    case 'POST clients/:id':
      return dropClients(controls, id ?? '', input);
    case 'POST sessions/:id/:action':
      return actOnSession(controls, id ?? '', action ?? '', input);
    default:
      return undefined;
  }
}

function changeClock(controls: Controls, input: unknown): unknown {
  const given = asObject(input, 'clock');
  onlyKeys(given, 'clock', ['offsetMs', 'speed']);
  const offsetMs = optional(given['offsetMs'], 'clock.offsetMs', (value, path) =>
    asNumber(value, path, -1e13, 1e13),
  );
  const speed = optional(given['speed'], 'clock.speed', (value, path) => asNumber(value, path, 0.001, 1e6));
  controls.setClock({
    ...(offsetMs === undefined ? {} : { offsetMs }),
    ...(speed === undefined ? {} : { speed }),
  });
  return controls.state().clock;
}

function changePreferences(controls: Controls, input: unknown): unknown {
  const given = asObject(input, 'preferences');
  onlyKeys(given, 'preferences', ['kmsKeyId']);
  const { kmsKeyId } = given;
  controls.setKmsKey(kmsKeyId === null ? undefined : asString(kmsKeyId, 'preferences.kmsKeyId'));
  return DONE;
}

function addVpc(controls: Controls, input: unknown): unknown {
  const given = asObject(input, 'vpc');
  onlyKeys(given, 'vpc', ['vpcId', 'region', 'cidrBlock', 'tags', 'isDefault', 'endpoints']);
  const vpc = {
    vpcId: asString(given['vpcId'], 'vpc.vpcId'),
    region: optional(given['region'], 'vpc.region', asString) ?? controls.state().region,
    cidrBlock: optional(given['cidrBlock'], 'vpc.cidrBlock', asString) ?? '10.0.0.0/16',
    tags: optional(given['tags'], 'vpc.tags', asStringMap) ?? {},
    isDefault: optional(given['isDefault'], 'vpc.isDefault', asBoolean) ?? false,
    endpoints: optional(given['endpoints'], 'vpc.endpoints', asStrings) ?? [],
  };
  controls.addVpc(vpc);
  return vpc;
}

function addDocument(controls: Controls, input: unknown): unknown {
  const given = asObject(input, 'document');
  onlyKeys(given, 'document', [
    'name',
    'sessionType',
    'parameters',
    'properties',
    'command',
    'separateOutputStream',
  ]);
  const parameters = Object.entries(asObject(given['parameters'] ?? {}, 'document.parameters'));
  const document: SessionDocument = {
    name: asString(given['name'], 'document.name'),
    sessionType: asOneOf(given['sessionType'], 'document.sessionType', [
      'Standard_Stream',
      'Port',
      'InteractiveCommands',
      'NonInteractiveCommands',
    ]),
    parameters: Object.fromEntries(
      parameters.map(([name, value]) => {
        const path = `document.parameters.${name}`;
        const parameter = asObject(value, path);
        onlyKeys(parameter, path, ['defaultValue']);
        const defaultValue = optional(parameter['defaultValue'], `${path}.defaultValue`, asString);
        return [name, { defaultValue, pattern: undefined }];
      }),
    ),
    properties: optional(given['properties'], 'document.properties', asStringMap) ?? {},
    command: optional(given['command'], 'document.command', asString),
    separateOutputStream:
      optional(given['separateOutputStream'], 'document.separateOutputStream', asBoolean) ?? false,
    minimumAgentVersion: '1.0',
  };
  controls.addDocument(document);
  return DONE;
}

/** The answer holds the secret: the caller has just made it. */
function addIdentity(controls: Controls, input: unknown): unknown {
  const given = asObject(input, 'identity');
  onlyKeys(given, 'identity', [
    'userName',
    'accessKeyId',
    'secretAccessKey',
    'sessionToken',
    'expiresAt',
    'denied',
  ]);
  const spec: Record<string, unknown> = {};
  for (const name of ['userName', 'accessKeyId', 'secretAccessKey', 'sessionToken'] as const) {
    if (given[name] !== undefined) spec[name] = asString(given[name], `identity.${name}`);
  }
  if (given['expiresAt'] !== undefined)
    spec['expiresAt'] = asNumber(given['expiresAt'], 'identity.expiresAt');
  if (given['denied'] !== undefined) spec['denied'] = asStrings(given['denied'], 'identity.denied');
  return controls.addIdentity(spec);
}

function changeIdentity(controls: Controls, accessKeyId: string, input: unknown): unknown {
  const given = asObject(input, 'identity');
  onlyKeys(given, 'identity', ['denied', 'expiresAt']);
  const denied = optional(given['denied'], 'identity.denied', asStrings);
  const expiresAt = optional(given['expiresAt'], 'identity.expiresAt', asNumber);
  const identity = controls.changeIdentity(accessKeyId, {
    ...(denied === undefined ? {} : { denied }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  });
  return { accessKeyId, denied: identity.denied, expiresAt: identity.expiresAt };
}

function dropClients(controls: Controls, how: string, input: unknown): unknown {
  if (how === 'cut') controls.dropAllClients();
  else if (how === 'close') {
    const { code, reason } = readClose(input);
    controls.dropAllClients(code, reason);
  } else return undefined;
  return DONE;
}

function actOnSession(controls: Controls, sessionId: string, action: string, input: unknown): unknown {
  const given = asObject(input, 'input');
  switch (action) {
    case 'cut':
      controls.cutSession(sessionId);
      return DONE;
    case 'close': {
      const { code, reason } = readClose(input);
      controls.closeSession(sessionId, code, reason);
      return DONE;
    }
    case 'half-open':
      controls.halfOpenSession(sessionId);
      return DONE;
    case 'pause':
    case 'start':
      controls.notifySession(sessionId, asOneOf(given['side'], 'side', ['client', 'agent']), action);
      return DONE;
    case 'terminate':
      controls.terminateSession(sessionId, optional(given['output'], 'output', asString) ?? '');
      return DONE;
    case 'kill-agent':
      controls.killAgent(sessionId);
      return DONE;
    case 'drop-agent':
      controls.dropAgent(sessionId, optional(given['forMs'], 'forMs', asInteger));
      return DONE;
    default:
      return undefined;
  }
}

function readClose(input: unknown): { code: number; reason: string } {
  const given = asObject(input, 'input');
  onlyKeys(given, 'input', ['code', 'reason']);
  return {
    code: optional(given['code'], 'code', asCloseCode) ?? 1000,
    reason: optional(given['reason'], 'reason', asString) ?? 'Bye',
  };
}
