/**
 * The child processes of one emulated node, each the leader of its own process group. When an SSH channel goes, its
 * group goes with it; when the node goes, everything it ever started goes, daemons included.
 */
import type { ChildProcess } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { signalGroup } from './agent-pty.ts';
import { NODE_MARK_VARIABLE } from './node-home.ts';

/** Between SIGHUP and SIGKILL of a channel that went away. */
const HANG_UP_GRACE_MS = 500;

/** Something that can be signalled as a whole and tells when it is gone. */
export interface RunningCommand {
  kill(signal: NodeJS.Signals): void;
}

export class NodeProcesses {
  readonly #mark: string;
  readonly #running = new Set<RunningCommand>();
  readonly #graceTimers = new Map<RunningCommand, NodeJS.Timeout>();

  /** `mark` is the value of NODE_MARK_VARIABLE in the environment of this node's processes. */
  constructor(mark: string) {
    this.#mark = mark;
  }

  /** Commands that run now. */
  get count(): number {
    return this.#running.size;
  }

  add(command: RunningCommand): void {
    this.#running.add(command);
  }

  /** The command has ended by itself. */
  remove(command: RunningCommand): void {
    this.#running.delete(command);
    clearTimeout(this.#graceTimers.get(command));
    this.#graceTimers.delete(command);
  }

  /** Its channel is gone: SIGHUP now, SIGKILL a moment later. Does nothing for a command that has ended. */
  hangUp(command: RunningCommand): void {
    if (!this.#running.has(command) || this.#graceTimers.has(command)) return;
    command.kill('SIGHUP');
    const timer = setTimeout(() => {
      command.kill('SIGKILL');
      this.remove(command);
    }, HANG_UP_GRACE_MS);
    this.#graceTimers.set(command, timer);
  }

  /** Kills everything of this node. On Linux also what left its process group, found by the mark. */
  async killAll(): Promise<void> {
    for (const command of [...this.#running]) {
      command.kill('SIGKILL');
      this.remove(command);
    }
    if (process.platform !== 'linux') return;
    const entry = `${NODE_MARK_VARIABLE}=${this.#mark}`;
    const names = await readdir('/proc');
    await Promise.all(
      names.map(async (name) => {
        if (!/^\d+$/.test(name)) return;
        if (!(await readEnvironment(name)).includes(entry)) return;
        try {
          process.kill(Number(name), 'SIGKILL');
        } catch {
          // Ended meanwhile.
        }
      }),
    );
  }
}

/** A child that leads its own group (`detached`) as a running command. */
export function groupOf(child: ChildProcess): RunningCommand {
  return {
    kill(signal) {
      if (child.pid !== undefined) signalGroup(child.pid, signal);
    },
  };
}

async function readEnvironment(pid: string): Promise<readonly string[]> {
  try {
    return (await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0');
  } catch {
    return [];
  }
}
