/** `exec()` of the library: one command on a node, without sshd there. */
import type { Writable } from 'node:stream';
import { systemClock } from './clock.ts';
import { ProxyError } from './errors.ts';
import { runCommand } from './exec/run-command.ts';
import type { OutputStream } from './exec/run-command.ts';
import { sessionRequestOf } from './library-options.ts';
import type { SessionOptions } from './library-options.ts';
import { silentLog } from './log.ts';
import type { DocumentParameters } from './session-purpose.ts';

export interface ExecOptions extends SessionOptions {
  /** A line for the shell of the node, or a program and its arguments, exactly. */
  readonly command: string | readonly string[];
  /** Takes the command's stdout as it comes; it is not ended. The result's `stdout` is then empty. */
  readonly stdout?: Writable;
  /** The same for stderr. */
  readonly stderr?: Writable;
  /** Most bytes of stdout and stderr together that are kept for the result; default 64 MiB. */
  readonly maxOutputBytes?: number;
  /** Default AWS-StartNonInteractiveCommand. */
  readonly document?: string;
  /** Parameters of the document besides command. */
  readonly parameters?: DocumentParameters;
  /**
   * Gives the words to the agent as they are, for nodes without a POSIX shell. stdout and stderr are then as the
   * document has them, and the exit status may not be known.
   */
  readonly raw?: boolean;
}

export interface ExecResult {
  readonly instanceId: string;
  readonly sessionId: string;
  /** As a shell would have it: 128 and more for signals. Undefined: not known, with `raw` only. */
  readonly exitStatus: number | undefined;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

const DEFAULT_MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/**
 * Resolves when the command has ended, whatever its exit status. Rejects with a ProxyError when it could not be run to
 * its end; OUTPUT_TOO_LARGE when it says more than is kept. stdin of the command is empty.
 */
export async function exec(options: ExecOptions): Promise<ExecResult> {
  const { command, target, maxOutputBytes = DEFAULT_MAX_OUTPUT_BYTES } = options;
  const words = typeof command === 'string' ? [command] : command;
  if (words.length === 0) throw new ProxyError('USAGE', 'the command is empty');
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(options.signal?.reason);
  if (options.signal?.aborted === true) onAbort();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const kept: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  let keptBytes = 0;
  let isTooLarge = false;
  let started = { instanceId: '', sessionId: '' };
  try {
    const { exitStatus } = await runCommand(
      {
        ...sessionRequestOf(options, `exec ${target}`),
        words,
        document: options.document,
        parameters: options.parameters ?? {},
        isRaw: options.raw ?? false,
      },
      { env: options.env ?? process.env, clock: systemClock, log: options.log ?? silentLog },
      {
        onStarted: ({ instanceId, sessionId }) => (started = { instanceId, sessionId }),
        onNotice: (text) => options.log?.info('notice', { text }),
        onOutput(data, stream, done) {
          const sink = options[stream];
          if (sink !== undefined) {
            sink.write(data, () => done());
            return;
          }
          keptBytes += data.length;
          if (keptBytes > maxOutputBytes) {
            isTooLarge = true;
            stop.abort();
          } else kept[stream].push(data);
          done();
        },
      },
      stop.signal,
    );
    return {
      ...started,
      exitStatus,
      stdout: Buffer.concat(kept.stdout),
      stderr: Buffer.concat(kept.stderr),
    };
  } catch (error) {
    if (!isTooLarge) throw error;
    throw new ProxyError('OUTPUT_TOO_LARGE', `the command's output is larger than ${maxOutputBytes} bytes`, {
      hint: 'raise maxOutputBytes, or give streams that take the output',
      cause: error,
    });
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}
