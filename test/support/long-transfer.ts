/**
 * One big transfer over one ssh connection (real ssh, the built ProxyCommand, a real sshd) while the service misbehaves:
 * is its hash right, how often was the session resumed, and how long did the bytes stand still.
 */
import { createHash, randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FaultChange } from '../../src/emulator/fault-settings.ts';
import type { Cluster } from './cluster.ts';

export interface Transfer {
  readonly direction: 'up' | 'down';
  /** Private IP of the node. */
  readonly host: string;
  readonly megabytes: number;
  readonly faults?: FaultChange;
  /** Agent's sleep after each message, in ms: 1 is what the real one does. */
  readonly paceMs: number;
  /** Arguments of `connect` besides target and port. */
  readonly connectArguments?: string;
  readonly timeLimitMs: number;
}

export interface TransferResult {
  readonly isExact: boolean;
  readonly status: number | null;
  readonly stderr: string;
  readonly seconds: number;
  readonly resumes: number;
  /** Links that were given up in good order, with nothing in flight. */
  readonly renewals: number;
  /** Longest time between two pieces of ssh's output (down). */
  readonly longestStallMs: number;
  readonly stallsAboveOneSecond: number;
}

const MEGABYTE = 1_000_000;
/** Sent again and again: one file of the far end, whatever the size of the transfer. */
const PIECE_MEGABYTES = 4;
const CLIENT_ALIVE = ['-o', 'ServerAliveInterval=5', '-o', 'ServerAliveCountMax=3'];

/** Runs one transfer. Both paces of uploads are off; what the service does is in `faults`. */
export async function transfer(cluster: Cluster, wanted: Transfer): Promise<TransferResult> {
  const { controls } = cluster.emulator;
  cluster.reset();
  controls.changeBehaviour({ paceMs: wanted.paceMs });
  controls.changeFaults({ rateLimit: { messagesPerSecond: 0 }, ...wanted.faults });
  const resumesBefore = resumeCalls(cluster);
  const log = join(cluster.directory, 'transfer.log');
  const piece = randomFillSync(Buffer.allocUnsafe(PIECE_MEGABYTES * MEGABYTE));
  const file = join(cluster.directory, 'piece');
  writeFileSync(file, piece);
  const pieces = Math.ceil(wanted.megabytes / PIECE_MEGABYTES);
  const isUpload = wanted.direction === 'up';
  const command = isUpload ? 'sha256sum' : `for i in $(seq ${pieces}); do cat ${file}; done`;
  const startedAt = performance.now();
  const program = cluster.startSsh([...CLIENT_ALIVE, ...proxyCommand(wanted), wanted.host, command], {
    env: { SSM_PROXY_PACE: 'off', SSM_PROXY_LOG_FILE: log },
    timeLimitMs: wanted.timeLimitMs,
    keepsInput: isUpload,
    keepsOutput: isUpload,
  });
  const received = createHash('sha256');
  const stalls = new StallWatch();
  if (isUpload) await feed(program.stdin, piece, pieces, program.finished);
  else {
    program.stdout.on('data', (data: Buffer) => {
      received.update(data);
      stalls.data();
    });
  }
  const { status, stderr, stdout } = await program.finished;
  const expected = createHash('sha256');
  for (let i = 0; i < pieces; i += 1) expected.update(piece);
  const got = isUpload ? stdout.toString('utf8').slice(0, 64) : received.digest('hex');
  const renewals = readFileSync(log, 'utf8').match(/\brenewal\b(?!_)/g)?.length ?? 0;
  rmSync(log);
  return {
    isExact: got === expected.digest('hex'),
    status,
    stderr,
    seconds: round((performance.now() - startedAt) / 1000),
    resumes: resumeCalls(cluster) - resumesBefore,
    renewals,
    longestStallMs: Math.round(stalls.longestMs),
    stallsAboveOneSecond: stalls.aboveOneSecond,
  };
}

/** An own ProxyCommand when there are arguments for it; the cluster's otherwise. */
function proxyCommand({ connectArguments }: Transfer): string[] {
  if (connectArguments === undefined) return [];
  const cli = join(process.cwd(), 'dist', 'cli.cjs');
  return ['-o', `ProxyCommand='${process.execPath}' '${cli}' connect %h %p ${connectArguments}`];
}

async function feed(
  stdin: NodeJS.WritableStream,
  piece: Buffer,
  pieces: number,
  finished: Promise<unknown>,
): Promise<void> {
  let isOver = false;
  const over = finished.then(() => (isOver = true));
  const stepBytes = MEGABYTE / 4;
  for (let i = 0; i < pieces; i += 1) {
    for (let offset = 0; offset < piece.length && !isOver; offset += stepBytes) {
      if (stdin.write(piece.subarray(offset, offset + stepBytes))) continue;
      // A program that ended early drains nothing.
      await Promise.race([once(stdin, 'drain'), over]);
    }
  }
  stdin.end();
}

class StallWatch {
  longestMs = 0;
  aboveOneSecond = 0;
  #lastAt: number | undefined;

  data(): void {
    const now = performance.now();
    const gapMs = now - (this.#lastAt ?? now);
    this.#lastAt = now;
    this.longestMs = Math.max(this.longestMs, gapMs);
    if (gapMs > 1000) this.aboveOneSecond += 1;
  }
}

function resumeCalls(cluster: Cluster): number {
  return cluster.emulator.controls.state().calls['ssm:ResumeSession']?.succeeded ?? 0;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Cuts the client's socket `cuts` times, spread evenly over a transfer of so many megabytes. */
export function cuts(direction: Transfer['direction'], megabytes: number, count: number): FaultChange {
  const everyBytes = Math.floor((megabytes * MEGABYTE) / (count + 1));
  return {
    rules: [{ action: 'cut', direction: direction === 'up' ? 'to-agent' : 'to-client', everyBytes, count }],
  };
}

/** So many messages to the client are lost one after the other, once so many megabytes have passed. */
export function lostInARow(messages: number, afterMegabytes: number): FaultChange {
  const skip = Math.floor((afterMegabytes * MEGABYTE) / 1024);
  const what = { messageType: 'output_stream_data', firstTransmissionOnly: true } as const;
  return { rules: [{ action: 'drop', direction: 'to-client', ...what, skip, count: messages }] };
}

/** The agent is never told, and what it sends to nobody is lost. */
export const IN_FLIGHT_LOST: FaultChange = {
  absent: { clientFrames: 'drop', pauseAgent: false, startAgent: false },
};
/** The agent is paused when the client goes, and what was on its way is kept. */
export const PAUSED_IN_TIME: FaultChange = {
  absent: { clientFrames: 'keep', pauseAgent: true, startAgent: true },
};
