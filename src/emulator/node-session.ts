/**
 * One SSH session channel on an emulated node: env, pty-req, then exec, shell or the sftp subsystem. The end of the
 * client's data is passed on, exit status and signal come back, both directions obey the channel's window; a
 * channel that goes takes its process group with it.
 */
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { PseudoTtyInfo, ServerChannel, Session } from 'ssh2';
import type { Log } from '../log.ts';
import { startPty } from './agent-pty.ts';
import type { NodeHome } from './node-home.ts';
import type { NodeProcesses } from './node-processes.ts';
import { groupOf } from './node-processes.ts';
import { serveSftp } from './node-sftp.ts';

/** What sessions of one connection need of their node. */
export interface SessionContext {
  readonly home: NodeHome;
  readonly processes: NodeProcesses;
  readonly log: Log;
  /** SSH_CONNECTION, as sshd sets it. */
  readonly connection: string;
}

/** Variables a client may set, as in the usual AcceptEnv of distributions plus git's protocol version. */
const ACCEPTED_VARIABLES = /^(LANG|LC_[A-Z_]+|GIT_PROTOCOL|COLORTERM|NO_COLOR)$/;
const DEFAULT_TERM = 'xterm-256color';

/** Answers the requests of a session channel until it is closed. */
export function serveSession(session: Session, context: SessionContext): void {
  const env: Record<string, string> = { ...context.home.environment, SSH_CONNECTION: context.connection };
  let terminal: PseudoTtyInfo | undefined;
  let onResize: ((cols: number, rows: number) => void) | undefined;
  let onSignal: ((signal: NodeJS.Signals) => void) | undefined;

  session.on('env', (accept, reject, info) => {
    if (ACCEPTED_VARIABLES.test(info.key)) {
      env[info.key] = info.val;
      answer(accept);
    } else answer(reject);
  });
  session.on('pty', (accept, _reject, info) => {
    terminal = info;
    answer(accept);
  });
  session.on('window-change', (accept, _reject, info) => {
    if (terminal !== undefined) terminal = { ...terminal, cols: info.cols, rows: info.rows };
    onResize?.(info.cols, info.rows);
    answer(accept);
  });
  session.on('signal', (accept, _reject, info) => {
    onSignal?.(`SIG${info.name}` as NodeJS.Signals);
    answer(accept);
  });
  session.on('shell', (accept) => {
    context.log.debug('shell');
    const channel = guarded(accept());
    onSignal = runOnTerminal(channel, `exec ${context.home.shell}`);
  });
  session.on('exec', (accept, _reject, info) => {
    context.log.debug('exec');
    const channel = guarded(accept());
    onSignal =
      terminal === undefined
        ? runCommand(channel, info.command, env, context)
        : runOnTerminal(channel, info.command);
  });
  session.on('subsystem', (accept, reject, info) => {
    if (info.name !== 'sftp') {
      answer(reject);
      return;
    }
    context.log.debug('sftp');
    const channel = guarded(accept());
    serveSftp(channel, context.home.directory, context.log, (status) => endChannel(channel, status, null));
  });

  function runOnTerminal(channel: ServerChannel, command: string): (signal: NodeJS.Signals) => void {
    const size = { cols: terminal?.cols ?? 80, rows: terminal?.rows ?? 24 };
    const options = { command, shell: context.home.shell, size, cwd: context.home.directory };
    const term = terminal?.term ?? '';
    let isGone = false;
    let signal: ((signal: NodeJS.Signals) => void) | undefined;
    channel.once('close', () => {
      isGone = true;
    });
    startPty({ ...options, env: { ...env, TERM: term === '' ? DEFAULT_TERM : term } }).then(
      (pty) => {
        context.processes.add(pty);
        if (isGone) context.processes.hangUp(pty);
        channel.once('close', () => context.processes.hangUp(pty));
        signal = (name) => pty.kill(name);
        onResize = (cols, rows) => pty.resize({ cols, rows });
        channel.pipe(pty.stdin);
        pty.stdout.pipe(channel, { end: false });
        pty.onClose((status, name) => {
          context.processes.remove(pty);
          endChannel(channel, status, name);
        });
      },
      (error: unknown) => failChannel(channel, error),
    );
    return (name) => signal?.(name);
  }
}

function runCommand(
  channel: ServerChannel,
  command: string,
  env: Readonly<Record<string, string>>,
  context: SessionContext,
): (signal: NodeJS.Signals) => void {
  const child = spawn('/bin/sh', ['-c', command], {
    cwd: context.home.directory,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
  });
  const group = groupOf(child);
  context.processes.add(group);
  channel.once('close', () => context.processes.hangUp(group));
  // A command that does not read its input to the end is no error.
  child.stdin.on('error', () => {});
  channel.pipe(child.stdin);
  const forwarded = forwardInTurns(channel, [
    [child.stdout, channel],
    [child.stderr, channel.stderr],
  ]);
  child.once('error', (error) => {
    context.processes.remove(group);
    failChannel(channel, error);
  });
  child.once('close', (status, signal) => {
    context.processes.remove(group);
    void forwarded().then(() => endChannel(channel, status, signal));
  });
  return (signal) => group.kill(signal);
}

/**
 * Passes outputs on with one write under way at a time. stdout and stderr share the client's window, and ssh2 (1.17,
 * CHANNEL_WINDOW_ADJUST in server.js) gets two waiting writers wrong: it wakes only stdout, and it never forgets a
 * chunk that has waited, so that stdout's old one goes out again when stderr waits. What comes after the channel's
 * end is dropped. The function returned resolves when all that was read until then has left.
 */
function forwardInTurns(
  channel: ServerChannel,
  routes: readonly (readonly [Readable, Writable])[],
): () => Promise<void> {
  let turn = Promise.resolve();
  let isGone = false;
  channel.once('close', () => {
    isGone = true;
    for (const [source] of routes) source.resume();
  });
  for (const [source, sink] of routes) {
    source.on('data', (chunk: Buffer) => {
      if (isGone) return;
      source.pause();
      turn = turn
        .then(() => {
          Object.assign(channel, NO_WAITING_CHUNK);
          return new Promise<void>((resolve) => sink.write(chunk, () => resolve()));
        })
        .then(() => void source.resume());
    });
  }
  return () => turn;
}

/** Fields of ssh2's Channel. */
const NO_WAITING_CHUNK = {
  _chunk: undefined,
  _chunkcb: undefined,
  _chunkErr: undefined,
  _chunkcbErr: undefined,
};

/** A channel on which writing after its end is no error: the client may close it at any time. */
function guarded(channel: ServerChannel): ServerChannel {
  channel.on('error', () => {});
  channel.stderr.on('error', () => {});
  return channel;
}

/** Sends exit status or signal and closes the channel, after all output has left. */
function endChannel(channel: ServerChannel, status: number | null, signal: NodeJS.Signals | null): void {
  // Both writables are queues of their own; an empty write comes back when what was before it has gone.
  channel.stderr.write(Buffer.alloc(0), () => {
    channel.write(Buffer.alloc(0), () => {
      if (signal !== null) channel.exit(signal.replace(/^SIG/, ''), false, '');
      else channel.exit(status ?? 0);
      channel.end();
    });
  });
}

function failChannel(channel: ServerChannel, error: unknown): void {
  channel.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  endChannel(channel, 127, null);
}

/** Requests that want no reply come without functions, whatever the types say. */
function answer(reply: (() => unknown) | undefined): void {
  reply?.();
}
