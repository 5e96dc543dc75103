/**
 * `connect --share`: this process as one stream of a session that the keeper holds (src/keeper). Where there is no
 * keeper yet the connection goes alone and starts one on the side, for those that come after; where sharing is not
 * possible it goes alone, and says nothing.
 */
import { sinceStartMs, systemClock } from '../clock.ts';
import type { ProxyError } from '../errors.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import { ask, openShared } from '../keeper/client.ts';
import type { SharedOutcome } from '../keeper/client.ts';
import { KeeperPlace } from '../keeper/place.ts';
import type { Place } from '../keeper/place.ts';
import { shareKeys } from '../keeper/share-key.ts';
import { PROTOCOL } from '../keeper/wire.ts';
import type { ConnectRequest } from '../keeper/wire.ts';
import type { Log } from '../log.ts';
import type { ConnectArgs } from './connect-args.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import { connectTimes, parentSshTimeoutMs } from './parent-ssh.ts';
import { selfCommand } from './self-command.ts';
import { SharedPipe } from './shared-pipe.ts';

/** Between two looks for a keeper that is being started. Milliseconds. */
const LOOK_AGAIN_MS = 20;
/** Part of the time until the first byte that may be spent waiting for a keeper to come up. */
const WAIT_SHARE = 0.4;
/** An older keeper has so long to answer that it leaves. Milliseconds. */
const DRAIN_LIMIT_MS = 100;

/** For a connection that goes alone. */
export interface Alone {
  readonly kind: 'alone';
  /** To be called when its own session has been started. */
  begun(): void;
  /** To be called at the end, whatever came of it. */
  over(): void;
}

export type ShareOutcome = Alone | { readonly kind: 'done'; readonly exitStatus: number };

const ALONE: Alone = { kind: 'alone', begun: () => {}, over: () => {} };

/** Rejects with the error that the connection failed with, as if it had been alone. */
export async function connectShared(args: ConnectArgs, io: CliIo): Promise<ShareOutcome> {
  const { share } = args;
  // A document of one's own is not the one that sessions are shared with.
  const isOwn = args.document !== undefined || Object.keys(args.parameters).length > 0;
  // A key is pushed for one connection.
  if (share === undefined || isOwn || args.pushKey !== undefined) return ALONE;
  const log = openLog(args, io);
  try {
    const directory = openRuntimeDirectory(io.env);
    const request = directory === undefined ? undefined : connectRequest(args, share, io);
    if (directory === undefined || request === undefined) return ALONE;
    return await new Sharing(new KeeperPlace(directory), request, log, io).connect(args);
  } catch (thrown) {
    // Trouble with the directory: no sharing, never a failure.
    if (!isSystemError(thrown)) throw thrown;
    log.info('not_shared', { reason: thrown.code });
    return ALONE;
  } finally {
    log.close();
  }
}

class Sharing {
  readonly #place: KeeperPlace;
  readonly #request: ConnectRequest;
  readonly #log: Log;
  readonly #io: CliIo;

  constructor(place: KeeperPlace, request: ConnectRequest, log: Log, io: CliIo) {
    this.#place = place;
    this.#request = request;
    this.#log = log;
    this.#io = io;
  }

  async connect(args: ConnectArgs): Promise<ShareOutcome> {
    const { connectTimeoutMs } = connectTimes(args.connectTimeoutMs, parentSshTimeoutMs(), sinceStartMs());
    const pipe = new SharedPipe(this.#io, args, connectTimeoutMs);
    const waitUntil = sinceStartMs() + connectTimeoutMs * WAIT_SHARE;
    let dead: string | undefined;
    try {
      for (;;) {
        if (pipe.exitStatus !== undefined) return { kind: 'done', exitStatus: pipe.exitStatus };
        if (pipe.isTimeUp) throw pipe.timedOut();
        const place = this.#place.find(systemClock.wallNow());
        const isDead = place.kind === 'up' && place.socket === dead;
        if (place.kind === 'none' || isDead) {
          if (this.#place.claimStart(process.pid, systemClock.wallNow(), dead)) return this.#starter();
        } else if (place.kind === 'up') {
          const outcome = await this.#ride(place, pipe);
          if (outcome.kind === 'failed' && isMendable(args, outcome.error, this.#io)) return ALONE;
          if (outcome.kind === 'failed') throw outcome.error;
          if (outcome.kind === 'open') return { kind: 'done', exitStatus: await pipe.carry(outcome) };
          if (pipe.signal.aborted) continue;
          this.#log.info('not_shared', { reason: outcome.reason });
          if (!outcome.isDead) return ALONE;
          dead = place.socket;
        } else {
          pipe.enter('starting the keeper');
          if (sinceStartMs() > waitUntil) return ALONE;
          await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
        }
      }
    } finally {
      pipe.stop();
    }
  }

  async #ride(place: Extract<Place, { kind: 'up' }>, pipe: SharedPipe): Promise<SharedOutcome> {
    const path = this.#place.path(place.socket);
    if (place.protocol < PROTOCOL) {
      // It goes on with what it has; the next one is of our version.
      await ask(path, { op: 'drain' }, DRAIN_LIMIT_MS);
      this.#place.leave(place.socket, systemClock.wallNow());
      return { kind: 'alone', reason: 'the keeper is older', isDead: true };
    }
    if (place.protocol > PROTOCOL) return { kind: 'alone', reason: 'the keeper is newer', isDead: false };
    return openShared(path, place, this.#request, { onStage: (text) => pipe.enter(text) }, pipe.signal);
  }

  async #launch(env: NodeJS.ProcessEnv): Promise<void> {
    try {
      const { launchKeeper } = await import('../keeper/launch.ts');
      launchKeeper(this.#request, env, selfCommand());
    } catch (error) {
      this.#log.info('keeper_not_started', { reason: error instanceof Error ? error.message : '' });
    }
  }

  /** This process starts the keeper, when its own connection leaves it time. */
  #starter(): Alone {
    let isLaunched = false;
    // As it is now: the SDK, which is loaded meanwhile, adds to it.
    const env = { ...this.#io.env };
    return {
      kind: 'alone',
      begun: () => {
        if (isLaunched) return;
        isLaunched = true;
        void this.#launch(env);
      },
      over: () => {
        if (isLaunched) return;
        try {
          this.#place.giveUpStart(process.pid, systemClock.wallNow());
        } catch {
          // The claim expires by itself.
        }
      },
    };
  }
}

/** The keeper starts no instances, and asks nobody: alone that can be done. */
function isMendable({ startInstance, offersLogin }: ConnectArgs, error: ProxyError, io: CliIo): boolean {
  if (error.code === 'TARGET_STOPPED') return startInstance !== undefined;
  return error.code === 'CREDENTIALS_EXPIRED' && offersLogin && io.stderr.isTTY === true;
}

/** Undefined when this connection cannot be shared. */
function connectRequest(
  args: ConnectArgs,
  share: NonNullable<ConnectArgs['share']>,
  { env }: CliIo,
): ConnectRequest | undefined {
  const { target: name, regions, profile, role, endpointUrl, ssmmessagesEndpoint, vpc, tags, account } = args;
  const target = {
    ...{ target: name, regions, profile, role, endpointUrl, ssmmessagesEndpoint, vpc, tags, account },
    port: args.port,
    startsPerSecond: args.startsPerSecond,
    resumeTimeoutMs: args.resumeTimeoutMs,
    renewAfterMs: args.renewAfterMs,
    pingIntervalMs: args.pingIntervalMs,
    pace: args.pace.kind === 'rate' ? String(args.pace.messagesPerSecond) : args.pace.kind,
  };
  const keys = shareKeys(target, env);
  if (keys === undefined) return undefined;
  return { op: 'connect', ...keys, target, idleMs: share.idleMs, maxSessions: args.shareSessions };
}

function isSystemError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && 'syscall' in thrown;
}
