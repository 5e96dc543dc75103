/**
 * What `connect` does before its own code is loaded: it reads the AWS settings and connects to the hosts that it is
 * going to talk to, so that the first round trips pass while the program is still loading.
 *
 * It decides nothing and fails at nothing: the contexts go to openSession, which uses them or reports what is wrong with
 * them, and each connection is taken by the first request for its host, or closed.
 */
import { setImmediate } from 'node:timers/promises';
import type { AwsContext } from '../aws/context.ts';
import { expectedApi, expectedChannel } from '../aws/expected-hosts.ts';
import { needsEc2, parseTarget } from '../aws/target.ts';
import { systemClock } from '../clock.ts';
import { hasManyPlaces, targetContexts } from '../contexts.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import { LookupFiles } from '../gate/lookup-files.ts';
import type { Log } from '../log.ts';
import { knownInstance } from '../opening/known-instance.ts';
import type { SessionRequest } from '../open-session.ts';

export interface HeadStart {
  /** For openSession. Undefined when several regions or profiles are to be searched. */
  readonly contexts: Promise<AwsContext[]> | undefined;
  /** True when EC2 has to be asked for the target, as far as can be told. */
  readonly needsEc2: boolean;
}

/** Resolves once the packets have left; then there is time for work that blocks. Never rejects. */
export async function takeHeadStart(
  request: SessionRequest,
  env: NodeJS.ProcessEnv,
  log: Log,
): Promise<HeadStart> {
  if (hasManyPlaces(request)) return { contexts: undefined, needsEc2: true };
  const contexts = targetContexts(request, { env, log });
  contexts.catch(() => {
    // openSession awaits them, too.
  });
  // Of what needs no question to the instance's metadata service, all is known after a turn.
  const [context] = await Promise.race([contexts.catch(() => []), nextTurn()]);
  if (context === undefined) return { contexts, needsEc2: true };
  const open = (...urls: readonly (string | undefined)[]): void => {
    context.network.prepare(urls.filter((url) => url !== undefined));
  };
  const ssm = tryTo(() => expectedApi(context, 'SSM'));
  open(
    ssm,
    tryTo(() => expectedChannel(context)),
  );
  const target = parseTarget(request.target);
  const asksEc2 = needsEc2(target) && !(await isKnown(context, request, env));
  const ec2 = asksEc2 ? tryTo(() => expectedApi(context, 'EC2')) : undefined;
  // One connection serves the APIs of an emulator, one after the other.
  if (ec2 !== ssm) open(ec2);
  // The connects leave in the next turns: at once for addresses, after the name lookup for names.
  await setImmediate();
  return { contexts, needsEc2: asksEc2 };
}

/** Starts TLS on what has been opened. Blocks for some 30 ms: certificates are parsed. Never rejects. */
export async function secureHeadStart({ contexts }: HeadStart): Promise<void> {
  const [context] = (await Promise.race([contexts?.catch(() => []), nextTurn()])) ?? [];
  await context?.network.secure();
}

async function nextTurn(): Promise<AwsContext[]> {
  await setImmediate();
  return [];
}

async function isKnown(
  context: AwsContext,
  request: SessionRequest,
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  const directory = request.sharing?.sharesLookups === true ? openRuntimeDirectory(env) : undefined;
  if (directory === undefined) return false;
  const files = new LookupFiles(directory);
  const wallNowMs = systemClock.wallNow();
  return (
    (await knownInstance({ context, target: request.target, scope: request, files, wallNowMs })) !== undefined
  );
}

/** Settings that cannot be used are reported by whoever uses them. */
function tryTo<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
