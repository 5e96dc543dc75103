/**
 * Non-interactive commands (protocol.md 6.3): no shell, no terminal, no stdin.
 *
 * Merged: nothing is sent before the command has ended, then all of its output as Output. Separate: stdout as
 * Output and stderr as StdErr while it runs, without the pumps' sleep, each chunk with its prefix, and the exit code
 * at the end; a pause of publication aborts the output. Input is looked at for Ctrl-C and Ctrl-\ only.
 */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { PAYLOAD_TYPE } from '../protocol/message.ts';
import type { PendingVerdict } from './agent-channel.ts';
import type { PluginHost, SessionPlugin } from './agent-plugin.ts';
import { ERROR_TITLE } from './agent-plugin.ts';
import { signalGroup } from './agent-pty.ts';
import { AgentPump } from './agent-pump.ts';
import { shellEnvironment } from './agent-shell.ts';
import { StreamSource } from './agent-source.ts';
import { Utf8Regrouper } from './agent-utf8.ts';
import { splitWords } from './agent-words.ts';
import { placeFiles } from './node-files.ts';

const PREFIX_PATTERN = /^[0-9a-zA-Z\r\n_:-]{0,30}$/;
/** The agent's pauses before it reports a command that did not start. */
const PARSE_ERROR_DELAY_MS = 3000;
const START_ERROR_DELAY_MS = 1000;
const NEWLINE = 0x0a;
const CONTROL_SIGNALS = new Map<number, NodeJS.Signals>([
  [0x03, 'SIGINT'],
  [0x1c, 'SIGQUIT'],
]);

interface SpawnedCommand {
  readonly child: ChildProcess;
  /** Exit status, -1 after a signal (as in Go); or why it did not start. */
  readonly ended: Promise<{ readonly status: number } | { readonly startError: string }>;
}

export class CommandPlugin implements SessionPlugin {
  readonly #host: PluginHost;
  readonly #aborter = new AbortController();
  readonly #pumps: AgentPump[] = [];
  #command: SpawnedCommand | undefined;
  /** The exit status went to the reader of the signal; the agent then reports 1. */
  #isStatusTaken = false;

  constructor(host: PluginHost) {
    this.#host = host;
  }

  start(): void {
    const { request } = this.#host;
    const line = request.command?.trim() ?? '';
    if (line === '') {
      this.#host.finish('Failed', `Commands cannot be empty for session type ${request.sessionType}`);
      return;
    }
    const prefixes = {
      stdout: this.#prefix('stdOutSeparatorPrefix'),
      stderr: this.#prefix('stdErrSeparatorPrefix'),
    };
    for (const [name, prefix] of Object.entries(prefixes)) {
      if (request.separateOutputStream && !PREFIX_PATTERN.test(prefix)) {
        this.#host.finish('Failed', `invalid ${name}SeparatorPrefix ${prefix}`);
        return;
      }
    }
    const split = splitWords(line);
    if ('error' in split) {
      const text = `Unable to start command: Failed to parse commands input: ${split.error}\n\n`;
      this.#failAfter(PARSE_ERROR_DELAY_MS, text, text);
      return;
    }
    if (request.separateOutputStream) void this.#runSeparate(split.words, prefixes);
    else void this.#runMerged(split.words);
  }

  handle(payloadType: number | undefined, payload: Buffer): PendingVerdict {
    if (payloadType !== PAYLOAD_TYPE.OUTPUT) return 'handled';
    for (const byte of payload) {
      const signal = CONTROL_SIGNALS.get(byte);
      if (signal !== undefined) return this.#signal(signal);
    }
    return 'handled';
  }

  onActive(): void {
    for (const pump of this.#pumps) pump.wake();
  }

  onAcknowledged(): void {
    for (const pump of this.#pumps) pump.wake();
  }

  stop(): void {
    this.#aborter.abort();
    for (const pump of this.#pumps) pump.stop();
    const child = this.#command?.child;
    if (child?.pid === undefined) return;
    if (child.exitCode === null && child.signalCode === null) signalGroup(child.pid, 'SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  }

  kill(): void {
    this.stop();
  }

  #prefix(name: string): string {
    return this.#host.request.properties[name] ?? '';
  }

  #signal(signal: NodeJS.Signals): PendingVerdict {
    const command = this.#command;
    if (command?.child.pid === undefined || command.child.exitCode !== null) return 'refused';
    this.#host.trace('control-signal', { signal });
    if (!command.child.kill(signal)) return 'refused';
    if (!this.#host.request.separateOutputStream) return 'handled';
    // The handler waits for the process itself, and takes the exit status away from who reports it.
    this.#isStatusTaken = true;
    return command.ended.then(() => 'handled');
  }

  async #runMerged(words: readonly string[]): Promise<void> {
    let directory: string | undefined;
    try {
      directory = await mkdtemp(join(tmpdir(), 'ssm-proxy-output-'));
      const file = await open(join(directory, 'output'), 'wx+', 0o600);
      await this.#runInto(file, words);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#failAfter(0, `Unable to start command: ${reason}\n`, '');
    } finally {
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    }
  }

  /** Resolves when all output is sent, or the session has ended. */
  async #runInto(file: FileHandle, words: readonly string[]): Promise<void> {
    try {
      const command = this.#spawn(words, file.fd);
      const ended = await command.ended;
      if (this.#aborter.signal.aborted) return;
      if ('startError' in ended) {
        this.#reportStartError(ended.startError);
        return;
      }
      const output = file.createReadStream({ start: 0, autoClose: false });
      const how = await this.#pumpAll(output, PAYLOAD_TYPE.OUTPUT, { prefix: '', isPaced: true });
      this.#finish(how === 'end' ? 'Success' : 'Failed');
    } finally {
      await file.close();
    }
  }

  async #runSeparate(
    words: readonly string[],
    prefixes: { readonly stdout: string; readonly stderr: string },
  ): Promise<void> {
    const { channel } = this.#host;
    const command = this.#spawn(words, 'pipe');
    const { stdout, stderr } = command.child;
    if (stdout === null || stderr === null) return;
    const outputs = Promise.all([
      this.#pumpAll(stdout, PAYLOAD_TYPE.OUTPUT, { prefix: prefixes.stdout, isPaced: false }),
      this.#pumpAll(stderr, PAYLOAD_TYPE.STD_ERR, { prefix: prefixes.stderr, isPaced: false }),
    ]);
    const ended = await command.ended;
    if (this.#aborter.signal.aborted) return;
    if ('startError' in ended) {
      channel.send(PAYLOAD_TYPE.EXIT_CODE, Buffer.from('EXIT_CODE: 1'));
      this.#reportStartError(ended.startError);
      return;
    }
    const results = await outputs;
    if (this.#aborter.signal.aborted) return;
    if (channel.isActive) {
      const status = this.#isStatusTaken ? 1 : ended.status;
      channel.send(PAYLOAD_TYPE.EXIT_CODE, Buffer.from(`EXIT_CODE: ${status}`));
    }
    this.#finish(results.every((how) => how === 'end') ? 'Success' : 'Failed');
  }

  #spawn(words: readonly string[], output: number | 'pipe'): SpawnedCommand {
    const placed = placeFiles(words, this.#host.environment.files ?? {});
    const [file = '', ...args] = placed.words;
    const { directory, environment } = shellEnvironment(this.#host.environment);
    const child = spawn(file, args, {
      cwd: directory,
      env: environment,
      stdio: ['ignore', output, output],
      detached: true,
    });
    const ended = new Promise<{ status: number } | { startError: string }>((resolve) => {
      child.once('error', (error: NodeJS.ErrnoException) =>
        resolve({ startError: startErrorText(file, error) }),
      );
      child.once('exit', (status) => resolve({ status: status ?? -1 }));
    });
    void ended.finally(() => placed.remove());
    this.#command = { child, ended };
    this.#host.trace('command-started');
    return this.#command;
  }

  /** Sends all of a stream; resolves at its end, or when it is aborted by a pause. */
  #pumpAll(
    stream: Readable,
    payloadType: number,
    options: { readonly prefix: string; readonly isPaced: boolean },
  ): Promise<'end' | 'failed'> {
    const { channel, clock, environment } = this.#host;
    const prefix = Buffer.from(options.prefix, 'latin1');
    const regrouper = new Utf8Regrouper();
    let needsPrefix = true;
    return new Promise((resolve) => {
      const pump = new AgentPump({
        source: new StreamSource(stream),
        channel,
        clock,
        behaviour: environment.behaviour,
        reservedBytes: prefix.length,
        isPaced: options.isPaced,
        send: (data) => {
          if (needsPrefix) regrouper.insert(prefix);
          needsPrefix = data.at(-1) === NEWLINE;
          channel.send(payloadType, regrouper.push(data));
        },
        ...(options.isPaced ? {} : { onPaused: () => resolve('failed') }),
        onEnd: (how) => resolve(how),
      });
      this.#pumps.push(pump);
      this.#aborter.signal.addEventListener('abort', () => resolve('failed'), { once: true });
      pump.start();
    });
  }

  #reportStartError(reason: string): void {
    this.#failAfter(START_ERROR_DELAY_MS, `Error occurred starting the command: ${reason}\n`, reason);
  }

  /** Tells the user on StdErr, then fails. */
  #failAfter(delayMs: number, output: string, stderrText: string): void {
    const timer = this.#host.clock.setTimer(delayMs, () => {
      this.#host.channel.send(PAYLOAD_TYPE.STD_ERR, Buffer.from(stderrText, 'utf8'));
      this.#host.trace('session-state', { state: 'Terminating' });
      this.#host.finish('Failed', `${ERROR_TITLE}${output}`);
    });
    this.#aborter.signal.addEventListener('abort', () => timer.cancel(), { once: true });
  }

  #finish(status: 'Success' | 'Failed'): void {
    if (this.#aborter.signal.aborted) return;
    this.#host.trace('session-state', { state: 'Terminating' });
    this.#host.finish(status, '');
  }
}

/** Go's words for a command that cannot be run. */
function startErrorText(file: string, error: NodeJS.ErrnoException): string {
  const isPath = file.includes('/');
  switch (error.code) {
    case 'ENOENT':
      return isPath
        ? `fork/exec ${file}: no such file or directory`
        : `exec: ${JSON.stringify(file)}: executable file not found in $PATH`;
    case 'EACCES':
      return isPath
        ? `fork/exec ${file}: permission denied`
        : `exec: ${JSON.stringify(file)}: permission denied`;
    default:
      return error.message;
  }
}
