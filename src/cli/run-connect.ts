/** `connect`, on a shared session or on one of its own. */
import type { ConnectArgs } from './connect-args.ts';
import { sessionRequest } from './connect-request.ts';
import { secureHeadStart, takeHeadStart } from './head-start.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { Packs } from './packs.ts';

/** Exit status. Rejects with the ProxyError to be reported. `packs`: where its code is, for a quick start. */
export async function connectCommand(args: ConnectArgs, io: CliIo, packs?: Packs): Promise<number> {
  if (args.share === undefined) return connectAlone(args, io, packs);
  const { connectShared } = await import('./share.ts');
  const outcome = await connectShared(args, io);
  if (outcome.kind === 'done') return outcome.exitStatus;
  try {
    return await connectAlone(args, io, packs, () => outcome.begun());
  } finally {
    outcome.over();
  }
}

async function connectAlone(
  args: ConnectArgs,
  io: CliIo,
  packs: Packs | undefined,
  onStarted?: () => void,
): Promise<number> {
  // What can be done before the code of a session is loaded.
  const request = sessionRequest(args, io.env);
  const log = openLog(args, io);
  const headStart = await takeHeadStart(request, io.env, log);
  await secureHeadStart(headStart);
  packs?.load('connect');
  if (headStart.needsEc2) packs?.load('ec2');
  const { runConnect } = await import('./proxy.ts');
  const { contexts } = headStart;
  return runConnect(args, io, { request, log, contexts, onStarted, onCalm: () => packs?.save() });
}
