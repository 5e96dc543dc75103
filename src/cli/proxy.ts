/**
 * `ssm-proxy connect`: stdin and stdout of this process, joined to a port of a node.
 *
 * stdout carries the far end's bytes and nothing else. The process ends when the session does, when its reader or
 * its parent has gone, or on a signal; in every case but the first it ends the session, and is gone within 2 s.
 * ssh ends its proxy with SIGHUP and the end of stdin; a killed ssh leaves only the end of stdin.
 */
import { hostname, userInfo } from 'node:os';
import { systemClock } from '../clock.ts';
import type { ProxyError } from '../errors.ts';
import { openSession } from '../open-session.ts';
import type { SessionRequest } from '../open-session.ts';
import { SAFE_MESSAGES_PER_SECOND } from '../protocol/limits.ts';
import { Pump } from '../session/pump.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import { VERSION } from '../version.ts';
import type { ConnectArgs, Pace } from './connect-args.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';

/** After the end of stdin, how long the far end may be silent before the session is ended. Milliseconds. */
const HALF_CLOSE_GRACE_MS = 1_000;
/** The same before its first byte, which has to be dialled for. */
const FIRST_BYTE_GRACE_MS = 3_000;
/** Longest Reason that StartSession takes. */
const REASON_CHARACTERS = 256;
/** What a shell shows for a program that SIGPIPE ended. */
const EXIT_READER_GONE = 141;

/** Resolves with the exit status; rejects with the ProxyError to be reported. All output has left by then. */
export async function runConnect(args: ConnectArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const status = new StatusLine(io, args.quiet);
  const abort = new AbortController();
  const watch = new ShutdownWatch({
    onShutdown: (exitStatus) => proxy.shutDown(exitStatus),
    isOrphanIdle: () => proxy.cannotHearInput,
  });
  const proxy = new Proxy(io, status, abort);
  watch.start();
  proxy.start();
  try {
    const session = await openSession(
      sessionRequest(args),
      { env: io.env, clock: systemClock, log },
      proxy.sessionEvents,
      abort.signal,
    );
    proxy.attach(session);
    return await proxy.finished;
  } catch (thrown) {
    if (proxy.exitStatus !== undefined) return proxy.exitStatus;
    throw thrown;
  } finally {
    status.clear();
    watch.stop();
    proxy.stop();
    log.close();
  }
}

class Proxy {
  readonly finished: Promise<number>;
  readonly sessionEvents: Parameters<typeof openSession>[2];
  /** Set when it is us who end the session. */
  exitStatus: number | undefined;

  readonly #pump: Pump;
  readonly #abort: AbortController;
  #session: Session | undefined;
  #graceTimer: NodeJS.Timeout | undefined;
  #resolve!: (exitStatus: number) => void;
  #reject!: (error: ProxyError) => void;

  constructor(io: CliIo, status: StatusLine, abort: AbortController) {
    this.#abort = abort;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // The outcome may be known before anyone waits for it.
    this.finished.catch(() => {});
    this.#pump = new Pump(io.stdin, io.stdout, {
      onInputEnd: () => this.#startGrace(),
      onOutputGone: () => this.shutDown(EXIT_READER_GONE),
    });
    this.sessionEvents = {
      onStage: (stage) => status.show(stage),
      onReady: () => this.#startGrace(),
      onData: (data, stream) => {
        status.clear();
        if (stream === 'stderr') io.stderr.write(data);
        this.#pump.deliver(data);
        this.#startGrace();
      },
      onWritable: () => this.#pump.onWritable(),
      onDrained: () => this.#startGrace(),
      onNotice: (text) => {
        status.clear();
        io.stderr.write(`${text.replace(/^/gm, 'ssm-proxy: ')}\n`);
      },
      onEnd: (outcome) => void this.#ended(outcome),
    };
  }

  /** Nothing more will come from stdin, or nothing can be heard from it for now. */
  get cannotHearInput(): boolean {
    return this.#pump.hasInputEnded || this.#pump.isInputPaused;
  }

  start(): void {
    this.#pump.start();
  }

  attach(session: Session): void {
    this.#session = session;
    if (this.exitStatus === undefined) this.#pump.attach(session);
    else void session.terminate();
  }

  /** Ends the session because of something on this side; the process will exit with `exitStatus`. */
  shutDown(exitStatus: number): void {
    if (this.exitStatus !== undefined) return;
    this.exitStatus = exitStatus;
    clearTimeout(this.#graceTimer);
    this.#abort.abort();
    void this.#session?.terminate();
  }

  stop(): void {
    clearTimeout(this.#graceTimer);
    this.#pump.stop();
  }

  /**
   * There is no half-close: after the end of stdin, and once the agent has everything, the far end may go on for as
   * long as it is never silent for the grace time. sshd closes at once.
   */
  #startGrace(): void {
    const session = this.#session;
    if (!this.#pump.hasInputEnded || session === undefined || this.exitStatus !== undefined) return;
    const { unackedMessages, pendingBytes, state, receivedBytes } = session.stats();
    if (state !== 'ready' || unackedMessages > 0 || pendingBytes > 0) return;
    clearTimeout(this.#graceTimer);
    this.#graceTimer = setTimeout(
      () => {
        if (this.#pump.unwrittenBytes > 0) this.#startGrace();
        else this.shutDown(0);
      },
      receivedBytes > 0 ? HALF_CLOSE_GRACE_MS : FIRST_BYTE_GRACE_MS,
    );
  }

  async #ended(outcome: SessionOutcome): Promise<void> {
    if (this.exitStatus === undefined) await this.#pump.flushed();
    if (this.exitStatus !== undefined) this.#resolve(this.exitStatus);
    else if (outcome.kind === 'failed') this.#reject(outcome.error);
    else this.#resolve(0);
  }
}

function sessionRequest(args: ConnectArgs): SessionRequest {
  return {
    target: args.target,
    port: args.port,
    regions: args.region,
    profile: args.profile,
    endpointUrl: args.endpointUrl,
    ssmmessagesEndpoint: args.ssmmessagesEndpoint,
    vpc: args.vpc,
    tags: args.tags,
    document: args.document,
    parameters: args.parameters,
    connectTimeoutMs: args.connectTimeoutMs,
    messagesPerSecond: messagesPerSecond(args.pace),
    reason: reason(args),
  };
}

function messagesPerSecond(pace: Pace): number | undefined {
  switch (pace.kind) {
    case 'safe':
      return SAFE_MESSAGES_PER_SECOND;
    case 'off':
      return undefined;
    case 'rate':
      return pace.messagesPerSecond;
  }
}

/** Who, from where, with what, to what: readable in CloudTrail. */
function reason(args: ConnectArgs): string {
  return `ssm-proxy/${VERSION} ${userName()}@${hostname()} connect ${args.target}:${args.port}`.slice(
    0,
    REASON_CHARACTERS,
  );
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // No entry in the user database, as in many containers.
    return `uid-${process.getuid?.() ?? 'unknown'}`;
  }
}
