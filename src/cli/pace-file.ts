/**
 * What the pace `auto` has learnt, for later sessions: by region and agent version, in one small file of the user's state
 * directory (0600, replaced whole). Whatever is odd about it, a field, its owner, its age, is forgotten: the search then
 * begins at the safe pace again. Processes that write at the same moment may lose one of their lessons, no more.
 */
import { join } from 'node:path';
import {
  AUTO_PAYLOAD_MAX_BYTES,
  AUTO_RATE_MAX,
  PAYLOAD_BYTES,
  SAFE_MESSAGES_PER_SECOND,
} from '../protocol/limits.ts';
import type { PaceLesson, PaceStep } from '../protocol/pace-search.ts';
import type { PaceMemory } from '../session/contract.ts';
import type { Environment } from './option-values.ts';
import { openStateFolder, readStateFile, stateFolderPath, writeStateFile } from './state-directory.ts';

const NAME = 'lessons.json';
const FORMAT = 1;
/** A path that refused something may take it after a week. */
const LIFE_MS = 7 * 24 * 3_600_000;
/** The newest are kept. */
const MAX_LESSONS = 64;

type Entry = PaceLesson & { readonly learntAt: number };

export class PaceFile {
  readonly #env: Environment;
  readonly #wallNow: () => number;
  /** What the file says, once it was read. */
  #known: ReadonlyMap<string, Entry> = new Map();
  #writing: Promise<void>;

  /** `wallNow`: ms since the epoch. Reading begins at once. */
  constructor(env: Environment, wallNow: () => number) {
    this.#env = env;
    this.#wallNow = wallNow;
    this.#writing = this.#read().then((known) => {
      this.#known = known;
    });
  }

  memory(region: string): PaceMemory {
    return {
      recall: (agentVersion) => this.#known.get(keyOf(region, agentVersion)),
      learn: (agentVersion, lesson) => this.#learn(keyOf(region, agentVersion), lesson),
    };
  }

  /** Resolves when everything learnt is on disk, or cannot be. */
  written(): Promise<void> {
    return this.#writing;
  }

  #learn(key: string, lesson: PaceLesson): void {
    const entry: Entry = { ...lesson, learntAt: this.#wallNow() };
    this.#writing = this.#writing
      .then(async () => {
        const entries = [...(await this.#read()), [key, entry] as const];
        const kept = new Map(entries.sort((a, b) => a[1].learntAt - b[1].learntAt).slice(-MAX_LESSONS));
        this.#known = kept;
        const directory = await openStateFolder(this.#env, 'pace');
        await writeStateFile(directory, NAME, format(kept));
      })
      // A state directory that cannot be used only means that nothing is remembered.
      .catch(() => {});
  }

  async #read(): Promise<Map<string, Entry>> {
    const text = await readStateFile(join(stateFolderPath(this.#env, 'pace'), NAME));
    return text === undefined ? new Map() : parse(text, this.#wallNow());
  }
}

function keyOf(region: string, agentVersion: string): string {
  return `${region} ${agentVersion}`;
}

function format(entries: ReadonlyMap<string, Entry>): string {
  // JSON has no Infinity: null stands for it.
  return `${JSON.stringify({ format: FORMAT, lessons: Object.fromEntries(entries) })}\n`;
}

function parse(text: string, wallNow: number): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  try {
    const content = asObject(JSON.parse(text));
    if (content['format'] !== FORMAT) return entries;
    for (const [key, value] of Object.entries(asObject(content['lessons']))) {
      const entry = readEntry(asObject(value), wallNow);
      if (entry !== undefined && entries.size < MAX_LESSONS) entries.set(key, entry);
    }
  } catch {
    entries.clear();
  }
  return entries;
}

function readEntry(value: Record<string, unknown>, wallNow: number): Entry | undefined {
  const step = readStep(value);
  const learntAt = value['learntAt'];
  const trial = value['trial'] === undefined ? undefined : readStep(asObject(value['trial']));
  const refusedPayloadBytes = readRefused(value['refusedPayloadBytes'], PAYLOAD_BYTES);
  const refusedMessagesPerSecond = readRefused(value['refusedMessagesPerSecond'], SAFE_MESSAGES_PER_SECOND);
  const isYoung = typeof learntAt === 'number' && learntAt <= wallNow && learntAt > wallNow - LIFE_MS;
  if (step === undefined || !isYoung || (trial === undefined && value['trial'] !== undefined))
    return undefined;
  if (refusedPayloadBytes === undefined || refusedMessagesPerSecond === undefined) return undefined;
  return { ...step, refusedPayloadBytes, refusedMessagesPerSecond, trial, learntAt };
}

function readStep(value: Record<string, unknown>): PaceStep | undefined {
  const { payloadBytes, messagesPerSecond } = value;
  if (!isWithin(payloadBytes, PAYLOAD_BYTES, AUTO_PAYLOAD_MAX_BYTES)) return undefined;
  if (!isWithin(messagesPerSecond, SAFE_MESSAGES_PER_SECOND, AUTO_RATE_MAX)) return undefined;
  return { payloadBytes, messagesPerSecond };
}

/** Nothing that works everywhere can have been refused. */
function readRefused(value: unknown, safe: number): number | undefined {
  if (value === null) return Infinity;
  return isWithin(value, safe + 1, Number.MAX_SAFE_INTEGER) ? value : undefined;
}

function isWithin(value: unknown, lowest: number, highest: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= lowest && Number(value) <= highest;
}

/** Throws a TypeError, which means: forget. */
function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError('not an object');
  return value as Record<string, unknown>;
}
