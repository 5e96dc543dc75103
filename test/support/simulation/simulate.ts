/**
 * One session of the real client over the emulator's real service and agent, in virtual time and with seeded chance:
 * the same case comes out the same, event by event. A case takes milliseconds.
 */
import { asProxyError } from '../../../src/errors.ts';
import type { AgentBehaviour } from '../../../src/emulator/agent-link.ts';
import type { FaultChange } from '../../../src/emulator/fault-settings.ts';
import { silentLog } from '../../../src/log.ts';
import { FlightRecorder } from '../../../src/session/flight-recorder.ts';
import type { SessionOutcome } from '../../../src/session/session.ts';
import { Session } from '../../../src/session/session.ts';
import type { Traffic } from '../fault-cases.ts';
import type { Random } from '../random.ts';
import { seededRandom } from '../random.ts';
import { VirtualClock } from '../virtual-clock.ts';
import type { Incident } from './incidents.ts';
import { SimulatedService } from './simulated-service.ts';
import { createTalk } from './talk.ts';

export interface SimulatedCase {
  readonly name: string;
  readonly seed: number;
  readonly traffic: Traffic;
  readonly faults: FaultChange;
  readonly agentVersion: string;
  readonly behaviour: Partial<AgentBehaviour>;
  /** Undefined: no pace. */
  readonly messagesPerSecond: number | undefined;
  /** Bytes each way of bulk, rounds of a dialogue. */
  readonly bytes: number;
  readonly rounds: number;
  /** See TalkOptions. */
  readonly pauseMs: number;
  readonly readDelayMs: number;
  readonly incident?: Incident | undefined;
  /** Part of the traffic after which it begins, 0 to 1. */
  readonly incidentAt: number;
}

export interface SimulatedResult {
  /** Undefined: as it should be. */
  readonly failure: string | undefined;
  /** Virtual time until all was there, or the session had failed as it should. */
  readonly ms: number;
  readonly resumes: number;
  readonly resends: number;
  /** Of the client, when the case was to be recorded. */
  readonly record: string;
}

/** Virtual time within which everything heals, or fails with a clear error. */
const LIMIT_MS = 240_000;
/** A session ends within this; the process must be gone 2 s after ssh. */
const END_LIMIT_MS = 2_000;
/** Until the service and its agent have let go of a session that was ended. */
const SETTLE_MS = 10_000;
const LEFTOVER_MS = 30_000;

/** Never rejects: what is thrown anywhere in it is its failure. */
export async function simulate(wanted: SimulatedCase, isRecorded = false): Promise<SimulatedResult> {
  const recorder = isRecorded ? new FlightRecorder({ case: wanted.name, seed: wanted.seed }) : undefined;
  const played = await play(wanted, recorder).catch((thrown: unknown) => {
    const failure = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    return { failure, ms: 0, resumes: 0, resends: 0 };
  });
  return { ...played, record: recorder?.lines().join('\n') ?? '' };
}

async function play(
  wanted: SimulatedCase,
  recorder: FlightRecorder | undefined,
): Promise<Omit<SimulatedResult, 'record'>> {
  const clock = new VirtualClock();
  const random = seededRandom(wanted.seed);
  const { incident } = wanted;
  let hasBegun = false;
  const talk = createTalk(wanted.traffic, {
    ...wanted,
    clock,
    random,
    pauseMs: incident?.pauseMs ?? wanted.pauseMs,
    onProgress(done) {
      if (incident === undefined || hasBegun || done < wanted.incidentAt) return;
      hasBegun = true;
      // Not from within the handling of a message.
      clock.setTimer(0, () =>
        incident.begin({ service, clock, random, say: () => session.write(Buffer.of(0)) }),
      );
    },
  });
  const { agentVersion, behaviour } = wanted;
  const service = new SimulatedService({
    clock,
    faults: { seed: wanted.seed, rateLimit: { messagesPerSecond: 0 }, ...wanted.faults },
    instance: { agentVersion, behaviour },
    dial: () => talk.dial(),
  });
  let outcome: SessionOutcome | undefined;
  const grant = await service.start();
  const session = new Session(
    {
      grant,
      targetId: service.instance.instanceId,
      messagesPerSecond: wanted.messagesPerSecond,
      ...incident?.times,
    },
    {
      connect: service.connect,
      api: service.sessionApi(grant.sessionId),
      clock,
      log: silentLog,
      randomBytes: seededBytes(random),
      recorder,
    },
    {
      onReady: () => talk.begin(session),
      onData: (data) => talk.received(data),
      onWritable: () => talk.writable(),
      onDrained() {},
      onNotice() {},
      onEnd(end) {
        outcome = end;
      },
    },
  );
  session.open();
  const startedAt = clock.now();
  await clock.runUntil(() => talk.isDone || talk.failure !== undefined || outcome !== undefined, LIMIT_MS);
  const ms = clock.now() - startedAt;
  const problems: string[] = [];
  const complaint = verdict(wanted, talk.isDone, talk.failure, outcome, session);
  if (complaint !== undefined) problems.push(complaint);
  const { resends } = session.stats();
  problems.push(...(await endAndCheck(clock, session, service)));
  return {
    failure: problems.length === 0 ? undefined : problems.join('; '),
    ms,
    resumes: session.resumes,
    resends,
  };
}

function verdict(
  { incident }: SimulatedCase,
  isDone: boolean,
  failure: Error | undefined,
  outcome: SessionOutcome | undefined,
  session: Session,
): string | undefined {
  if (failure !== undefined) return failure.message;
  const ended = outcome?.kind === 'failed' ? outcome.error.code : outcome?.kind;
  if (ended !== undefined && ended === incident?.ends) return undefined;
  if (ended !== undefined) {
    const why = outcome?.kind === 'failed' ? outcome.error.message : JSON.stringify(outcome);
    return `the session ended: ${ended}: ${why}`;
  }
  // A short talk may be over before the far end's end is noticed.
  if (isDone) return undefined;
  return `not over after ${LIMIT_MS / 1000} s: ${JSON.stringify(session.stats())}`;
}

/** Ends it as the program would; nothing may be left of it, here or at the service. */
async function endAndCheck(
  clock: VirtualClock,
  session: Session,
  service: SimulatedService,
): Promise<string[]> {
  const problems: string[] = [];
  let isEnded = false;
  session.terminate().then(
    () => (isEnded = true),
    (error: unknown) => problems.push(`terminate failed: ${asProxyError(error).message}`),
  );
  if (!(await clock.runUntil(() => isEnded, END_LIMIT_MS))) problems.push('it did not end in time');
  const isOver = await clock.runUntil(() => service.session.isOver, SETTLE_MS);
  if (!isOver) problems.push('the session is left open at the service');
  service.close();
  // Lingering connections, close handshakes and the ends of incidents have their own times.
  await clock.advanceAsync(LEFTOVER_MS);
  if (clock.pendingTimers > 0) problems.push(`${clock.pendingTimers} timers are left`);
  return problems;
}

/** Bytes of a seeded generator, from a pool: ids are needed for every message. */
function seededBytes(random: Random): (count: number) => Uint8Array {
  return (count) => {
    const bytes = Buffer.allocUnsafe(count);
    for (let at = 0; at < count; at += 4) {
      const word = Math.floor(random() * 2 ** 32);
      for (let i = at; i < Math.min(at + 4, count); i += 1) bytes[i] = word >>> (8 * (i - at));
    }
    return bytes;
  };
}
