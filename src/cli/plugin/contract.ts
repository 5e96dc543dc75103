/**
 * What callers of `session-manager-plugin` give it (the AWS CLI, Ansible, and whoever does as they do), by place:
 *
 *   1 JSON of StartSession's answer, or the name of an environment variable that holds it   2 region
 *   3 `StartSession`   4 profile, may be empty   5 JSON of StartSession's request   6 endpoint of SSM
 *
 * Callers of before 2020 give the first three only. The keys of 1 come in any case (`aws ecs execute-command` has
 * sessionId). 1 is a secret: nothing here repeats any of it, also not in errors. JSON.parse's message would.
 */
import { ProxyError } from '../../errors.ts';
import type { SessionGrant } from '../../session/session.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface PluginCall {
  readonly grant: SessionGrant;
  /** Undefined: as the AWS configuration says. */
  readonly region: string | undefined;
  readonly profile: string | undefined;
  /** Target of the request; undefined: the caller did not say. */
  readonly target: string | undefined;
  readonly documentName: string | undefined;
  readonly ssmEndpoint: string | undefined;
}

export type PluginInvocation =
  /** Whether it is there. */
  | { readonly kind: 'presence' }
  | { readonly kind: 'version' }
  | { readonly kind: 'unknown'; readonly word: string }
  | { readonly kind: 'foreignOperation' }
  | { readonly kind: 'session'; readonly call: PluginCall };

const OPERATION = 'StartSession';
/** What the name of a variable begins with. */
const VARIABLE = 'AWS_SSM_START_SESSION_RESPONSE';

/** The variable that holds the answer, to be taken out of the environment; undefined: it is in the argument. */
export function responseVariable([response = '']: readonly string[]): string | undefined {
  return response.startsWith(VARIABLE) ? response : undefined;
}

/** `argv`: without the program. Throws USAGE when the answer of StartSession cannot be used. */
export function readInvocation(argv: readonly string[], env: Environment): PluginInvocation {
  const [response = '', region, operation, profile, request, endpoint] = argv;
  if (argv.length === 0) return { kind: 'presence' };
  if (argv.length === 1 && response === '--version') return { kind: 'version' };
  if (argv.length < 3) return { kind: 'unknown', word: responseVariable(argv) ?? shown(response) };
  if (operation !== OPERATION) return { kind: 'foreignOperation' };
  const variable = responseVariable(argv);
  const { Target: target, DocumentName: documentName } = readRequest(request);
  return {
    kind: 'session',
    call: {
      grant: readGrant(variable === undefined ? response : (env[variable] ?? '')),
      region: given(region),
      profile: given(profile),
      target: given(target),
      documentName: given(documentName),
      ssmEndpoint: ssmEndpoint(given(endpoint)),
    },
  };
}

function readGrant(text: string): SessionGrant {
  const answer = parseObject(text);
  if (answer === undefined) throw unusable('what the caller gave is not JSON');
  const byName = new Map(Object.entries(answer).map(([name, value]) => [name.toLowerCase(), value]));
  const [sessionId, streamUrl, tokenValue] = ['SessionId', 'StreamUrl', 'TokenValue'].map((name) => {
    const value = byName.get(name.toLowerCase());
    if (typeof value !== 'string' || value === '') throw unusable(`what the caller gave has no ${name}`);
    return value;
  });
  return { sessionId: sessionId ?? '', streamUrl: streamUrl ?? '', tokenValue: tokenValue ?? '' };
}

/** Only what tells something about the session; a request that cannot be read tells nothing. */
function readRequest(text: string | undefined): { readonly Target?: string; readonly DocumentName?: string } {
  const request = parseObject(text ?? '') ?? {};
  return Object.fromEntries(
    ['Target', 'DocumentName'].flatMap((name) => {
      const value = request[name];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `aws ecs execute-command` gives its own endpoint, which does not resume sessions. */
function ssmEndpoint(endpoint: string | undefined): string | undefined {
  return endpoint === undefined || /^https?:\/\/ecs[.-]/i.test(endpoint) ? undefined : endpoint;
}

function given(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** A word that is echoed; what looks like an answer of StartSession is not. */
function shown(word: string): string {
  return word.includes('{') ? '{...}' : word;
}

function unusable(what: string): ProxyError {
  return new ProxyError('USAGE', what, {
    hint: `session-manager-plugin is started by the AWS CLI and its like, with the answer of ${OPERATION}`,
  });
}
