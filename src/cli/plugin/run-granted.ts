/** Runs a session that somebody else has started, with the times, pace and log of the user's settings. */
import { NON_INTERACTIVE_DOCUMENT } from '../../command-purposes.ts';
import { ProxyError } from '../../errors.ts';
import { FORWARD_DOCUMENT, REMOTE_FORWARD_DOCUMENT, SSH_DOCUMENT } from '../../session-purpose.ts';
import type { CliIo } from '../io.ts';
import { runLiveSession } from '../live-session.ts';
import { OptionReader } from '../option-values.ts';
import type { ConfiguredValues, Environment } from '../option-values.ts';
import { readSessionArgs, sessionRequest } from '../session-args.ts';
import { configuredValues } from '../settings/config-path.ts';
import type { PluginCall } from './contract.ts';
import { GrantedPurpose } from './granted-purpose.ts';
import { PluginView } from './plugin-view.ts';

/** Where the session is, and who asks, is the caller's word, not that of the user's settings for our own commands. */
const CALLERS = ['region', 'profile', 'account', 'vpc', 'tag', 'document', 'parameter', 'endpoint-url'];
/** Documents whose sessions begin with a handshake. Others may begin with output, whenever there is some. */
const PROMPT_DOCUMENTS: readonly (string | undefined)[] = [
  SSH_DOCUMENT,
  FORWARD_DOCUMENT,
  REMOTE_FORWARD_DOCUMENT,
  NON_INTERACTIVE_DOCUMENT,
];
/** Bytes that wait in the data channel where several connections may share it: a small write does not wait long. */
const SHARED_PENDING_BYTES = 16 * 1024;

/** Exit status; rejects with the ProxyError to be reported. */
export async function runGranted(call: PluginCall, io: CliIo): Promise<number> {
  const { grant, region, profile, documentName, ssmEndpoint } = call;
  const target = call.target ?? 'the target';
  const texts = new Map([
    ...(region === undefined ? [] : [['region', [region]] as const]),
    ...(profile === undefined ? [] : [['profile', [profile]] as const]),
    // The caller is on the terminal, and says what it wants to.
    ['quiet', ['true']] as const,
  ]);
  const configured = withoutCallers(await configuredValues(io.env, call.target));
  const args = readSessionArgs(new OptionReader('shell', texts, ownVariables(io.env), configured));
  const purpose = new GrantedPurpose(documentName);
  const request = {
    ...sessionRequest(args, target, purpose, ''),
    granted: { grant, targetId: target, ssmEndpoint },
    timeLimitName: 'SSM_PROXY_CONNECT_TIMEOUT',
    pendingLimitBytes: documentName === SSH_DOCUMENT ? undefined : SHARED_PENDING_BYTES,
    mayBeSilent: !PROMPT_DOCUMENTS.includes(documentName),
    noDataKey: call.target === undefined ? withoutTarget() : undefined,
  };
  return runLiveSession(
    { args, request, destination: `${target} session-manager-plugin`, io },
    (end) => new PluginView({ io, sessionId: grant.sessionId, target, purpose }, end),
  );
}

function withoutCallers(configured: ConfiguredValues | undefined): ConfiguredValues | undefined {
  return configured && new Map([...configured].filter(([name]) => !CALLERS.includes(name)));
}

function ownVariables(env: Environment): Environment {
  const names = CALLERS.map((name) => `SSM_PROXY_${name.replaceAll('-', '_').toUpperCase()}`);
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

/** The target is part of what the key is bound to. */
function withoutTarget(): ProxyError {
  return new ProxyError(
    'HANDSHAKE_FAILED',
    'the session is encrypted, and the caller did not say its target',
    {
      hint: 'update the AWS CLI',
    },
  );
}
