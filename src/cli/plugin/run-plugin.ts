/**
 * The drop-in for Amazon's session-manager-plugin: the same arguments, the same texts, on our own engine.
 *
 * Exit statuses differ on purpose. The official plugin ends with 0 whatever happened; here 0 is for answers without a
 * session and for sessions that ended well, also by Ctrl-C where that is how one leaves (forwarded ports). What failed
 * has the status of docs/errors.md, a command that told its status has that, and the AWS CLI then fails as well.
 */
import { ProxyError } from '../../errors.ts';
import { CLIENT_VERSION } from '../../protocol/limits.ts';
import type { CliIo } from '../io.ts';
import { writeOut } from '../output.ts';
import type { Packs } from '../packs.ts';
import type { PluginInvocation } from './contract.ts';
import { readInvocation, responseVariable } from './contract.ts';
import * as texts from './texts.ts';

/**
 * What `--version` says. The AWS CLI gives the secrets of a session in the environment only to a plugin above
 * 1.2.497.0, and on the command line otherwise, where every user of the machine can read them. It is the version that
 * the far end is told too (CLIENT_VERSION): whoever asks gets one answer.
 */
export const PLUGIN_VERSION = CLIENT_VERSION;

const USAGE_STATUS = 2;

/** Exit status; rejects with the ProxyError to be reported. `argv`: without the program. */
export async function runPlugin(argv: readonly string[], io: CliIo, packs?: Packs): Promise<number> {
  const invocation = await read(argv, io);
  switch (invocation?.kind) {
    case undefined:
      return USAGE_STATUS;
    case 'presence':
      await writeOut(io.stdout, texts.PRESENT);
      return 0;
    case 'version':
      await writeOut(io.stdout, `${PLUGIN_VERSION}\n`);
      return 0;
    case 'unknown':
      await writeOut(io.stdout, texts.unknownOperation(invocation.word));
      return 0;
    case 'foreignOperation':
      await writeOut(io.stdout, texts.FOREIGN_OPERATION);
      return USAGE_STATUS;
    case 'session': {
      packs?.load('connect');
      const { runGranted } = await import('./run-granted.ts');
      return runGranted(invocation.call, io);
    }
  }
}

/** Undefined: it has been said that there is no session to be had. */
async function read(argv: readonly string[], io: CliIo): Promise<PluginInvocation | undefined> {
  try {
    return readInvocation(argv, io.env);
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error;
    await writeOut(io.stdout, texts.cannotStart(error.message));
    return undefined;
  } finally {
    // Programs that this one starts (stty, credential_process) have no use for it.
    const variable = responseVariable(argv);
    if (variable !== undefined) delete process.env[variable];
  }
}
