/** StartSession, ResumeSession, TerminateSession: checks in the service's order, errors in its words. */
import { compareVersions } from '../../protocol/versions.ts';
import type { ChannelTicket, Gateway } from '../gateway.ts';
import type { Identity } from '../identities.ts';
import { resolveParameters, SHELL_DOCUMENT } from '../session-document.ts';
import type { SessionDocument } from '../session-document.ts';
import type { World } from '../world.ts';
import { constraintViolation, Refusal } from './refusal.ts';
import { optionalText, requiredText, textListMap } from './ssm-input.ts';
import type { Input } from './ssm-input.ts';

export interface SsmCall {
  readonly world: World;
  readonly gateway: Gateway;
  readonly caller: Identity;
  readonly region: string;
  readonly input: Input;
}

const DOCUMENT_NAME = /^[a-zA-Z0-9_\-.:/]{3,128}$/;
const SESSION_ID_LENGTH = 96;

export async function startSession(call: SsmCall): Promise<Record<string, unknown>> {
  const { world, gateway, region, input } = call;
  const target = requiredText(input, 'Target', 400);
  const reason = optionalText(input, 'Reason', 256);
  const document = findDocument(world, optionalText(input, 'DocumentName', 128) ?? SHELL_DOCUMENT);
  const resolved = resolveParameters(document, textListMap(input, 'Parameters'));
  if ('problem' in resolved) throw new Refusal('InvalidParameters', resolved.problem);
  const parameters = resolved.values;
  const instance = world.instances.get(target);
  if (
    instance === undefined ||
    instance.region !== region ||
    instance.state !== 'running' ||
    !instance.agentOnline
  ) {
    throw new Refusal('TargetNotConnected', `${target} is not connected.`);
  }
  if (compareVersions(instance.agentVersion, document.minimumAgentVersion) < 0) {
    // The service's message is empty.
    throw new Refusal('BadRequest', '');
  }
  return ticketAnswer(
    await gateway.start({ instance, target, region, document, parameters, owner: call.caller, reason }),
  );
}

export async function resumeSession(call: SsmCall): Promise<Record<string, unknown>> {
  const { world, gateway, input } = call;
  const sessionId = requiredText(input, 'SessionId', SESSION_ID_LENGTH);
  const session = gateway.find(sessionId);
  if (session === undefined) throw unknownSession(sessionId);
  if (session.isOver || session.status === 'Terminating') {
    if (world.faults.resume.ended === 'error') throw unknownSession(sessionId);
    return { SessionId: sessionId, TokenValue: '', StreamUrl: '' };
  }
  return ticketAnswer(await gateway.resume(session, call.caller));
}

export function terminateSession(call: SsmCall): Record<string, unknown> {
  const sessionId = requiredText(call.input, 'SessionId', SESSION_ID_LENGTH);
  const session = call.gateway.find(sessionId);
  if (session === undefined) throw unknownSession(sessionId);
  session.end('');
  return { SessionId: sessionId };
}

function findDocument(world: World, name: string): SessionDocument {
  if (!DOCUMENT_NAME.test(name)) {
    throw constraintViolation(
      name,
      'documentName',
      `Member must satisfy regular expression pattern: ${DOCUMENT_NAME.source}`,
    );
  }
  const document = world.documents.get(name);
  if (document === undefined)
    throw new Refusal('InvalidDocument', `Document with name ${name} does not exist.`);
  return document;
}

function ticketAnswer(ticket: ChannelTicket): Record<string, unknown> {
  return {
    SessionId: ticket.sessionId,
    TokenValue: ticket.tokenValue,
    ...(ticket.streamUrl === '' ? {} : { StreamUrl: ticket.streamUrl }),
  };
}

function unknownSession(sessionId: string): Refusal {
  return new Refusal('DoesNotExistException', `Session ${sessionId} does not exist`);
}
