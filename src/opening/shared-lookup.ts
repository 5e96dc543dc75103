/**
 * DescribeInstances for addresses, shared by the processes of this user: an answer serves for three minutes, and a
 * process that has to wait for its turn anyway lets another one ask for it. Whoever asks, asks for all who wait.
 *
 * Only an address that exactly one instance has, and that is running, is kept; everything else is asked anew.
 */
import type { AwsContext } from '../aws/context.ts';
import type { Ec2Filter, Instance, InstanceRecord } from '../aws/ec2.ts';
import type { DescribeInstances, Located, Scope } from '../aws/instance.ts';
import { parseIp } from '../aws/ip-address.ts';
import { enabledRegions } from '../aws/regions.ts';
import type { Target } from '../aws/target.ts';
import type { Clock } from '../clock.ts';
import { fingerprint } from '../gate/identity.ts';
import type { LookupFiles } from '../gate/lookup-files.ts';
import type { Log } from '../log.ts';
import { ANSWER_LIFE_MS, lookupGroup } from './known-instance.ts';
import type { StartQueue } from './start-queue.ts';

/** As long as any answer may live. Milliseconds. */
const REGIONS_LIFE_MS = 600_000;
/** Between two looks for an answer that others may bring: a part of the time that is left, within bounds. Milliseconds. */
const LOOK_SHARE = 0.1;
const LOOK_SOONEST_MS = 100;
const LOOK_LATEST_MS = 2_000;
/** A call takes about this long: asked so much before the turn, it costs nothing. Milliseconds. */
const ASK_AHEAD_MS = 700;
/** EC2 takes so many values per filter. */
const MAX_VALUES = 200;

export interface SharedLookupParts {
  readonly files: LookupFiles;
  readonly clock: Clock;
  readonly log: Log;
  /** Where this process waits before the answer is of any use. */
  readonly queue: Pick<StartQueue, 'patienceMs' | 'pause'>;
  /** Default: EC2. */
  readonly ask?: DescribeInstances;
  readonly listRegions?: typeof enabledRegions;
}

export class SharedLookup {
  readonly #parts: SharedLookupParts;
  #isTrusting = true;
  /** Keys of the answers that came from a file. */
  readonly #used = new Set<string>();

  constructor(parts: SharedLookupParts) {
    this.#parts = parts;
  }

  /** In place of aws/ec2.ts's own. */
  readonly describe: DescribeInstances = async (context, filters, options) => {
    const [lookup, ...scope] = filters;
    const [name = '', value = '', ...furtherValues] = lookup ?? [];
    const { files, clock, log, queue, ask = askEc2 } = this.#parts;
    if (typeof value !== 'string' || furtherValues.length > 0 || parseIp(value) === undefined)
      return ask(context, filters, options);
    const group = await lookupGroup(context, name, scope);
    const known = this.#find(group, value);
    if (known !== undefined) return [known];
    files.wish(group, value);
    try {
      for (;;) {
        const { patienceMs } = queue;
        if (patienceMs <= ASK_AHEAD_MS) break;
        await queue.pause(Math.min(LOOK_LATEST_MS, Math.max(LOOK_SOONEST_MS, patienceMs * LOOK_SHARE)));
        const answered = this.#find(group, value);
        if (answered !== undefined) return [answered];
      }
      const wishes = files.wishes(group, clock.wallNow()).filter((wish) => parseIp(wish) !== undefined);
      const values = [...new Set([value, ...wishes])].slice(0, MAX_VALUES);
      log.debug('lookup', { values: values.length });
      const records = await ask(context, [[name, ...values] as Ec2Filter, ...scope], options);
      for (const each of values) this.#keep(group, each, records);
      return records.filter(({ addresses }) => addresses.includes(value));
    } finally {
      files.unwish(group, value);
    }
  };

  /** What was found in one of several places less than three minutes ago. The searches in all of them are saved. */
  async recall(contexts: readonly AwsContext[], target: Target, scope: Scope): Promise<Located | undefined> {
    if (!this.#isTrusting) return undefined;
    const { files, clock, log } = this.#parts;
    const key = await searchKey(contexts, target, scope);
    const stored = files.find(key, ANSWER_LIFE_MS, clock.wallNow());
    if (typeof stored !== 'object' || stored === null) return undefined;
    const { instanceId, region, place } = stored as Partial<Record<string, unknown>>;
    const context = typeof place === 'number' ? contexts[place] : undefined;
    if (typeof instanceId !== 'string' || context === undefined || context.region !== region)
      return undefined;
    this.#used.add(key);
    log.debug('search_shared', { instanceId, region: context.region });
    return { instance: { instanceId, region: context.region, state: 'unknown' }, context };
  }

  /** For `recall`. */
  async remember(
    contexts: readonly AwsContext[],
    target: Target,
    scope: Scope,
    { instance, context }: Located,
  ): Promise<void> {
    if (instance.state !== 'running') return;
    const { files, clock } = this.#parts;
    const { instanceId, region } = instance;
    const answer = { instanceId, region, place: contexts.indexOf(context) };
    files.store(await searchKey(contexts, target, scope), answer, clock.wallNow());
  }

  /** The regions of an account, which change once in a few years, from others of the last minutes or from EC2. */
  readonly listRegions: typeof enabledRegions = async (context, options) => {
    const { files, clock, listRegions = enabledRegions } = this.#parts;
    const key = fingerprint('regions', await lookupGroup(context, 'regions', []));
    const known = files.find(key, REGIONS_LIFE_MS, clock.wallNow());
    if (isTexts(known) && known.length > 0) return known;
    const regions = await listRegions(context, options);
    files.store(key, regions, clock.wallNow());
    return regions;
  };

  /** The last answer came from a file, and may be old. */
  get isDoubtful(): boolean {
    return this.#used.size > 0;
  }

  /** The answers from files led nowhere: they are dropped, and no others taken. */
  forget(): void {
    this.#isTrusting = false;
    for (const key of this.#used) this.#parts.files.forget(key);
    this.#used.clear();
  }

  #find(group: string, value: string): InstanceRecord | undefined {
    if (!this.#isTrusting) return undefined;
    const { files, clock, log } = this.#parts;
    const key = fingerprint(group, value);
    const record = parseRecord(files.find(key, ANSWER_LIFE_MS, clock.wallNow()));
    if (record === undefined || !record.addresses.includes(value)) return undefined;
    this.#used.add(key);
    log.debug('lookup_shared', { instanceId: record.instance.instanceId });
    return record;
  }

  #keep(group: string, value: string, records: readonly InstanceRecord[]): void {
    const [record, second] = records.filter(({ addresses }) => addresses.includes(value));
    if (record === undefined || second !== undefined || record.instance.state !== 'running') return;
    const { files, clock } = this.#parts;
    files.store(fingerprint(group, value), { ...record, tags: [...record.tags] }, clock.wallNow());
  }
}

const askEc2: DescribeInstances = async (...call) =>
  (await import('../aws/ec2.ts')).describeInstances(...call);

/** The same search by the same identities. */
async function searchKey(contexts: readonly AwsContext[], target: Target, scope: Scope): Promise<string> {
  const places = await Promise.all(contexts.map((context) => lookupGroup(context, 'search', [])));
  return fingerprint('search', ...places, target.text, JSON.stringify([scope.vpc, scope.tags]));
}

/** What `#keep` wrote; undefined for anything else. */
function parseRecord(stored: unknown): InstanceRecord | undefined {
  if (typeof stored !== 'object' || stored === null) return undefined;
  const { instance, addresses, dnsNames, tags, transitionReason } = stored as Partial<
    Record<string, unknown>
  >;
  if (typeof instance !== 'object' || instance === null) return undefined;
  const { launchTime, ...facts } = instance as Omit<Instance, 'launchTime'> & { launchTime?: unknown };
  if (typeof facts.instanceId !== 'string' || typeof facts.region !== 'string') return undefined;
  if (!isTexts(addresses) || !isTexts(dnsNames) || !isPairs(tags)) return undefined;
  return {
    instance: { ...facts, ...(typeof launchTime === 'string' && { launchTime: new Date(launchTime) }) },
    addresses,
    dnsNames,
    tags: new Map(tags),
    transitionReason: typeof transitionReason === 'string' ? transitionReason : '',
  };
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isPairs(value: unknown): value is readonly [string, string][] {
  return Array.isArray(value) && value.every((each) => isTexts(each) && each.length === 2);
}
