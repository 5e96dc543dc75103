/**
 * The user's sessions: those that this machine has records of, and those that AWS knows, put together.
 *
 *   live       the process that runs it is there
 *   forgotten  its process has gone without ending it
 *   elsewhere  AWS knows it, this machine does not: another machine, another tool
 *
 * A record says region, profile and endpoint of its session, so AWS is asked there too. Records of sessions that AWS
 * has ended are cleared away.
 */
import { createAwsContext } from '../aws/context.ts';
import type { AwsContext, AwsSettings } from '../aws/context.ts';
import { hasEnded, ownSessions } from '../aws/own-sessions.ts';
import type { OwnSession } from '../aws/own-sessions.ts';
import { ALL_REGIONS } from '../aws/regions.ts';
import { createContexts } from '../contexts.ts';
import { asProxyError } from '../errors.ts';
import type { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Environment } from './option-values.ts';
import { readSessionRecords, removeRecord } from './session-registry.ts';
import type { FoundRecord } from './session-registry.ts';

export interface SurveyRequest {
  /** Undefined: the one that the AWS configuration names, and those of the records. */
  readonly regions: readonly string[] | undefined;
  readonly profile: string | undefined;
  readonly role: string | undefined;
  readonly endpointUrl: string | undefined;
}

export interface KnownSession {
  readonly sessionId: string;
  readonly state: 'live' | 'forgotten' | 'elsewhere';
  /** In AWS's words; undefined when AWS does not list it or could not be asked. */
  readonly status: string | undefined;
  readonly instanceId: string;
  readonly region: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number | undefined;
  readonly reason: string | undefined;
  /** What this machine knows of it. */
  readonly record: FoundRecord | undefined;
  /** Where it can be ended. */
  readonly context: AwsContext;
}

export interface SessionSurvey {
  /** Oldest first. */
  readonly sessions: readonly KnownSession[];
  /** Places where AWS could not be asked. */
  readonly failures: readonly { readonly region: string; readonly error: ProxyError }[];
  /** Where the options and the AWS configuration point; undefined when there is no such place. */
  readonly home: AwsContext | undefined;
  close(): void;
}

interface Place {
  readonly context: AwsContext;
  /** Undefined: it could not be asked. */
  active: readonly OwnSession[] | undefined;
}

/** Without a connection a session is idle, and AWS ends idle ones within an hour. Milliseconds. */
const SURELY_OVER_MS = 7 * 86_400_000;
/** Places that records may add: profiles and regions of one user. */
const MAX_PLACES = 32;

/** `wallNow`: ms since the epoch. CONFIG_INVALID, PROFILE_NOT_FOUND and others; trouble with AWS is in `failures`. */
export async function surveySessions(
  request: SurveyRequest,
  { env, log, wallNow }: { readonly env: Environment; readonly log: Log; readonly wallNow: number },
  signal: AbortSignal,
): Promise<SessionSurvey> {
  const records = (await readSessionRecords(env)).filter(
    ({ region }) =>
      request.regions === undefined ||
      request.regions.includes(ALL_REGIONS) ||
      request.regions.includes(region),
  );
  const places = new Places(request, env, log);
  const homes = await places.openHomes(records.length > 0);
  const placed: { readonly record: FoundRecord; readonly place: Place }[] = [];
  for (const record of records) {
    const place = await places.openFor(record);
    if (place !== undefined) placed.push({ record, place });
  }
  await Promise.all(places.all.map((place) => places.ask(place, signal)));

  const sessions = new Map<string, KnownSession>();
  for (const { record, place } of placed) {
    if (await isOver(record, place, wallNow, signal)) await removeRecord(record.path);
    else sessions.set(record.sessionId, recorded(record, place));
  }
  for (const { context, active } of places.all) {
    for (const own of active ?? []) {
      if (!sessions.has(own.sessionId)) sessions.set(own.sessionId, elsewhere(own, context));
    }
  }
  return {
    sessions: [...sessions.values()].sort((one, other) => (one.startedAt ?? 0) - (other.startedAt ?? 0)),
    failures: places.failures,
    home: homes[0]?.context,
    close: () => places.close(),
  };
}

/** AWS by region, profile and endpoint, each once. */
class Places {
  readonly all: Place[] = [];
  readonly failures: { region: string; error: ProxyError }[] = [];
  readonly #request: SurveyRequest;
  readonly #env: Environment;
  readonly #log: Log;

  constructor(request: SurveyRequest, env: Environment, log: Log) {
    this.#request = request;
    this.#env = env;
    this.#log = log;
  }

  /** Where the options point. `mayFail`: there are records, which know their own places. */
  async openHomes(mayFail: boolean): Promise<readonly Place[]> {
    try {
      const request = { ...this.#request, ssmmessagesEndpoint: undefined };
      const contexts = await createContexts(request, { env: this.#env, log: this.#log });
      return contexts.map((context) => this.#add(context));
    } catch (thrown) {
      const error = asProxyError(thrown);
      if (mayFail && error.code === 'REGION_MISSING') return [];
      throw error;
    }
  }

  /** Where a record's session lives; undefined when its profile is gone, or there are too many places. */
  async openFor(record: FoundRecord): Promise<Place | undefined> {
    const { region, profile, role, ssmEndpoint } = record;
    const isThere = ({ context }: Place): boolean =>
      context.region === region &&
      (profile === undefined || context.profile === profile) &&
      context.role === role &&
      originOf(context.endpoint('SSM')) === ssmEndpoint;
    const known = this.all.find(isThere);
    if (known !== undefined || this.all.length >= MAX_PLACES) return known;
    try {
      const context = await this.#create({ region, profile, role, endpointUrl: undefined });
      if (originOf(context.endpoint('SSM')) === ssmEndpoint) return this.#add(context);
      context.close();
      return this.#add(await this.#create({ region, profile, role, endpointUrl: ssmEndpoint }));
    } catch (thrown) {
      this.failures.push({ region, error: asProxyError(thrown) });
      return undefined;
    }
  }

  async ask(place: Place, signal: AbortSignal): Promise<void> {
    try {
      place.active = await ownSessions(place.context, { signal });
    } catch (thrown) {
      this.failures.push({ region: place.context.region, error: asProxyError(thrown) });
    }
  }

  close(): void {
    for (const { context } of this.all) context.close();
  }

  #create(place: Pick<AwsSettings, 'region' | 'profile' | 'role' | 'endpointUrl'>) {
    return createAwsContext({ ...place, env: this.#env, log: this.#log });
  }

  #add(context: AwsContext): Place {
    const place: Place = { context, active: undefined };
    this.all.push(place);
    return place;
  }
}

/** Known for sure: a record is the only trace of a forgotten session. */
async function isOver(
  record: FoundRecord,
  { context, active }: Place,
  wallNow: number,
  signal: AbortSignal,
): Promise<boolean> {
  if (record.isProcessAlive) return false;
  if (wallNow - record.startedAt > SURELY_OVER_MS) return true;
  if (active === undefined || active.some(({ sessionId }) => sessionId === record.sessionId)) return false;
  // Not among the caller's own: the credentials may be others now, so that alone says nothing.
  return hasEnded(context, record.sessionId, { signal }).catch(() => false);
}

function recorded(record: FoundRecord, { context, active }: Place): KnownSession {
  const own = active?.find(({ sessionId }) => sessionId === record.sessionId);
  return {
    sessionId: record.sessionId,
    state: record.isProcessAlive ? 'live' : 'forgotten',
    status: own?.status,
    instanceId: record.instanceId,
    region: record.region,
    startedAt: record.startedAt,
    reason: own?.reason,
    record,
    context,
  };
}

function elsewhere(own: OwnSession, context: AwsContext): KnownSession {
  return {
    sessionId: own.sessionId,
    state: 'elsewhere',
    status: own.status,
    instanceId: own.instanceId,
    region: context.region,
    startedAt: own.startedAt?.getTime(),
    reason: own.reason,
    record: undefined,
    context,
  };
}

function originOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).origin : undefined;
}
