/**
 * All checks: started at once, each as soon as what it needs is there, and reported in an order in which a person would
 * go: first what everything else stands on.
 */
import { readConfigFiles } from '../aws/config-files.ts';
import type { AwsContext } from '../aws/context.ts';
import type { CallerIdentity } from '../aws/caller-identity.ts';
import { agentStatus } from '../aws/ssm-session.ts';
import { createContexts } from '../contexts.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import { targetContexts } from '../contexts.ts';
import type { TargetRequest } from '../find-target.ts';
import type { Log } from '../log.ts';
import type { DocumentParameters } from '../session-purpose.ts';
import { checkConfiguration } from './configuration.ts';
import { askCaller, checkCredentials, whyNot } from './credentials-state.ts';
import type { Finding } from './finding.ts';
import { failure, skipped } from './finding.ts';
import { checkHostKeys } from './host-key-state.ts';
import { checkLocalTools } from './local-tools.ts';
import { checkNetwork } from './network-reach.ts';
import { checkPermissions } from './permissions.ts';
import { sessionFindings } from './session-findings.ts';
import { trySession } from './session-trial.ts';
import { checkSso } from './sso-state.ts';
import type { FoundNode } from './target-state.ts';
import { checkTarget, findNode } from './target-state.ts';

const SSH_PORT = 22;

export interface CheckRequest extends Omit<TargetRequest, 'target'> {
  /** Undefined: everything up to the permissions. */
  readonly target: string | undefined;
  readonly port: number;
  readonly document: string | undefined;
  /** Of the document, besides portNumber. */
  readonly parameters: DocumentParameters;
  readonly startsPerSecond: number;
}

export interface CheckParts {
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  /** Ends what is still being asked. */
  readonly signal: AbortSignal;
}

/** A group of findings that belong together. */
export interface CheckArea {
  readonly id: string;
  readonly title: string;
  /** Never rejects. */
  readonly findings: Promise<readonly Finding[]>;
}

export interface RunningChecks {
  readonly areas: readonly CheckArea[];
  /** For what is done afterwards; rejects with why there is none. */
  readonly context: Promise<AwsContext>;
  /** Closes idle connections. */
  close(): Promise<void>;
}

export function startChecks(request: CheckRequest, parts: CheckParts): RunningChecks {
  const { env, log, signal } = parts;
  const { target, profile, account, document } = request;
  const files = readConfigFiles(env);
  const named = target === undefined ? undefined : { ...request, target };
  const contexts =
    named === undefined ? createContexts(request, parts) : targetContexts(named, { env, log, signal });
  const node = named === undefined ? undefined : findNode(named, contexts, signal);
  const context = firstOf(contexts);
  const caller = askCaller(node === undefined ? context : nodeContext(node, context), signal);
  for (const promise of [contexts, context, caller, node]) promise?.catch(() => {});

  const area = (id: string, title: string, findings: Promise<readonly Finding[]>): CheckArea => ({
    ...{ id, title },
    findings: findings.catch((thrown: unknown) => [unfinished(id, title, thrown, signal)]),
  });
  const needsContext = (check: () => Promise<readonly Finding[]>, id: string, title: string): CheckArea =>
    area(
      id,
      title,
      context.then(check, (thrown: unknown) => [skipped(id, title, whyNot(thrown))]),
    );

  const areas: CheckArea[] = [
    area('local', 'This machine', checkLocalTools(env, target)),
    area('config', 'AWS configuration', checkConfiguration({ files, profile, env, context })),
    area('sso', 'SSO', Promise.resolve(checkSso({ files, profile, env }))),
    needsContext(() => checkCredentials({ context, caller, account }), 'credentials', 'Credentials'),
    needsContext(() => checkNetwork(context), 'network', 'Network'),
    needsContext(
      () => checkPermissions({ context, caller, hasTarget: node !== undefined, document, signal }),
      'permissions',
      'Permissions',
    ),
  ];
  if (named !== undefined && node !== undefined) {
    areas.push(
      needsContext(() => checkTarget(node, signal), 'target', 'Node'),
      needsContext(() => checkSession(named, node, caller, parts), 'session', 'Session'),
    );
  }
  return {
    areas,
    context,
    async close() {
      for (const each of await contexts.catch(() => [])) each.close();
    },
  };
}

async function firstOf(contexts: Promise<readonly AwsContext[]>): Promise<AwsContext> {
  const [first] = await contexts;
  if (first === undefined) throw new ProxyError('REGION_MISSING', 'no region to look in');
  return first;
}

/** Of several profiles and regions, those that the node is in count. */
async function nodeContext(node: Promise<FoundNode>, otherwise: Promise<AwsContext>): Promise<AwsContext> {
  try {
    return (await node).context;
  } catch {
    return otherwise;
  }
}

/** With an agent that is known to be away StartSession would only be waited for. */
async function checkSession(
  request: CheckRequest & { readonly target: string },
  pending: Promise<FoundNode>,
  caller: Promise<CallerIdentity>,
  { env, log, signal }: CheckParts,
): Promise<readonly Finding[]> {
  const skip = (why: string): readonly Finding[] => [skipped('session', 'Session', why)];
  let node: FoundNode;
  try {
    [node] = await Promise.all([pending, caller]);
  } catch (thrown) {
    return skip(whyNot(thrown));
  }
  const { state } = node.instance;
  if (state !== 'running' && state !== 'unknown') return skip(`not tried: the instance is ${state}`);
  const { status } = await agentStatus(node.context, node.instance.instanceId, { signal });
  if (status !== 'online' && status !== 'unknown') return skip('not tried: the SSM agent is not connected');
  const { target, port, endpointUrl, startsPerSecond } = request;
  const keys =
    port === SSH_PORT
      ? checkHostKeys(target, node, { env, log, endpointUrl, startsPerSecond }, signal)
      : Promise.resolve([]);
  const [trial, keyFindings] = await Promise.all([trySession(request, node, { env, log }, signal), keys]);
  return [...sessionFindings(trial, port), ...keyFindings];
}

function unfinished(id: string, title: string, thrown: unknown, signal: AbortSignal): Finding {
  if (!signal.aborted) return failure(id, title, thrown);
  return skipped(id, title, `not finished in time: ${asProxyError(thrown).message}`);
}
