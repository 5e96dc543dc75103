/**
 * Shell sessions and interactive commands: a command on a pseudo terminal (protocol.md 6.1, 6.2). Flags mean
 * nothing here, TerminateSession neither: such a session ends with its command or by the service.
 */
import { tmpdir } from 'node:os';
import { PAYLOAD_TYPE } from '../protocol/message.ts';
import type { TerminalSize } from '../protocol/payloads.ts';
import { parseSize } from '../protocol/payloads.ts';
import type { PendingVerdict } from './agent-channel.ts';
import type { AgentEnvironment, ShellEnvironment } from './agent-link.ts';
import type { PluginHost, SessionPlugin } from './agent-plugin.ts';
import { ERROR_TITLE } from './agent-plugin.ts';
import type { Pty } from './agent-pty.ts';
import { startPty } from './agent-pty.ts';
import { AgentPump } from './agent-pump.ts';
import { StreamSource } from './agent-source.ts';
import { writeBlocking } from './agent-tcp.ts';
import { Utf8Regrouper } from './agent-utf8.ts';

/** The agent waits before it reads the terminal for the first time. */
const FIRST_READ_DELAY_MS = 1000;
const SHELL = '/bin/sh';
/** What a terminal and the pipe to its holder take before a write blocks. */
const TERMINAL_BUFFER_BYTES = 64 * 1024;
const INITIAL_SIZE: TerminalSize = { cols: 80, rows: 24 };

/** Environment and directory of the node's shells and commands, as the real agent sets them. */
export function shellEnvironment(environment: AgentEnvironment): ShellEnvironment {
  const given = environment.shell ?? { directory: tmpdir(), environment: bareEnvironment() };
  return {
    directory: given.directory,
    environment: { LANG: 'C.UTF-8', ...given.environment, TERM: 'xterm-256color' },
  };
}

/** Nothing of this process but the PATH: no credentials of ours in a node's shell. */
function bareEnvironment(): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin', HOME: tmpdir() };
}

export class ShellPlugin implements SessionPlugin {
  readonly #host: PluginHost;
  readonly #aborter = new AbortController();
  readonly #regrouper = new Utf8Regrouper();
  #pty: Pty | undefined;
  #pump: AgentPump | undefined;

  constructor(host: PluginHost) {
    this.#host = host;
  }

  start(): void {
    const { request } = this.#host;
    const isShell = request.sessionType === 'Standard_Stream';
    const command = request.command?.trim() ?? '';
    if (!isShell && command === '') {
      this.#host.finish('Failed', `Commands cannot be empty for session type ${request.sessionType}`);
      return;
    }
    void this.#start(isShell ? `exec ${SHELL}` : command);
  }

  handle(payloadType: number | undefined, payload: Buffer): PendingVerdict {
    const pty = this.#pty;
    if (pty === undefined || this.#aborter.signal.aborted) return 'refused';
    switch (payloadType) {
      case PAYLOAD_TYPE.OUTPUT:
        return writeBlocking(pty.stdin, payload, TERMINAL_BUFFER_BYTES);
      case PAYLOAD_TYPE.SIZE:
        try {
          pty.resize(parseSize(payload));
          return 'handled';
        } catch {
          return 'refused';
        }
      default:
        return 'handled';
    }
  }

  onActive(): void {
    this.#pump?.wake();
  }

  onAcknowledged(): void {
    this.#pump?.wake();
  }

  stop(): void {
    this.#aborter.abort();
    this.#pump?.stop();
    if (this.#pty === undefined) return;
    this.#pty.kill('SIGKILL');
    this.#pty.stdin.destroy();
    this.#pty.stdout.destroy();
  }

  kill(): void {
    this.stop();
  }

  async #start(command: string): Promise<void> {
    const { directory, environment } = shellEnvironment(this.#host.environment);
    let pty: Pty;
    try {
      pty = await startPty({ command, shell: SHELL, size: INITIAL_SIZE, cwd: directory, env: environment });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#host.finish(
        'Failed',
        `${ERROR_TITLE}Unable to start command: Failed to start pty: ${reason}\n\n`,
      );
      return;
    }
    if (this.#aborter.signal.aborted) {
      pty.kill('SIGKILL');
      return;
    }
    this.#pty = pty;
    this.#host.trace('shell-started', { isTerminal: pty.isTerminal });
    const { channel, clock } = this.#host;
    const pump = new AgentPump({
      source: new StreamSource(pty.stdout),
      channel,
      clock,
      behaviour: this.#host.environment.behaviour,
      send: (data) => channel.send(PAYLOAD_TYPE.OUTPUT, this.#regrouper.push(data)),
      // The end of the terminal is success, whatever the command's exit status.
      onEnd: () => {
        this.#host.trace('session-state', { state: 'Terminating' });
        this.#host.finish('Success', '');
      },
    });
    this.#pump = pump;
    const timer = clock.setTimer(FIRST_READ_DELAY_MS, () => pump.start());
    this.#aborter.signal.addEventListener('abort', () => timer.cancel(), { once: true });
  }
}
