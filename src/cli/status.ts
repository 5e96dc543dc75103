/** `ssm-proxy status` and `ssm-proxy stop`: the keeper of shared sessions, and its end. */
import { systemClock } from '../clock.ts';
import { openRuntimeDirectory } from '../gate/runtime-directory.ts';
import { ask } from '../keeper/client.ts';
import { KeeperPlace } from '../keeper/place.ts';
import type { Place } from '../keeper/place.ts';
import type { CliIo } from './io.ts';
import type { Environment, OptionReader } from './option-values.ts';
import { writeOut } from './output.ts';
import { keeperTable } from './status-table.ts';
import type { KeeperStatus } from './status-table.ts';

export interface StatusArgs {
  readonly json: boolean;
  readonly watch: boolean;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;
/** There is no keeper: nothing failed, and yet scripts can tell. */
const EXIT_NONE = 3;
const ANSWER_LIMIT_MS = 2_000;
/** Ending a session takes up to 1.5 s. */
const STOP_LIMIT_MS = 5_000;
/** Longest wait for one that is being started. */
const START_WAIT_MS = 5_000;
const LOOK_AGAIN_MS = 50;
const WATCH_MS = 1_000;
const CLEAR_SCREEN = '\x1b[H\x1b[J';

export function readStatusArgs(options: OptionReader): StatusArgs {
  return { json: options.switch('json'), watch: options.switch('watch') };
}

/** Exit status: 0, or 3 without a keeper. */
export async function runStatus({ json, watch }: StatusArgs, io: CliIo): Promise<number> {
  if (!watch) {
    const status = await readStatus(io.env);
    await writeOut(io.stdout, format(status, json));
    return status === undefined ? EXIT_NONE : 0;
  }
  const isTerminal = 'isTTY' in io.stdout && io.stdout.isTTY === true && io.env['TERM'] !== 'dumb';
  // Until a signal ends the program, or the reader has gone.
  while (io.stdout.writable) {
    const text = format(await readStatus(io.env), json);
    await writeOut(io.stdout, isTerminal ? CLEAR_SCREEN + text : text);
    await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
  }
  return 0;
}

/** Exit status: 0 when there is no keeper any more. */
export async function runStop(json: boolean, io: CliIo): Promise<number> {
  const path = await startedKeeperPath(io.env);
  const reply = path === undefined ? undefined : await ask(path, { op: 'stop' }, STOP_LIMIT_MS);
  const wasThere = reply?.is === 'done';
  const text = wasThere ? 'stopped\n' : 'there is no keeper\n';
  await writeOut(io.stdout, json ? `${JSON.stringify({ schema: SCHEMA, stopped: wasThere })}\n` : text);
  return 0;
}

async function readStatus(env: Environment): Promise<KeeperStatus | undefined> {
  const path = keeperPath(env);
  const reply = path === undefined ? undefined : await ask(path, { op: 'status' }, ANSWER_LIMIT_MS);
  return reply?.is === 'status' ? (reply.status as KeeperStatus) : undefined;
}

/** One that is just being started is waited for: it would come up after it was told to stop. */
async function startedKeeperPath(env: Environment): Promise<string | undefined> {
  const waitUntil = systemClock.now() + START_WAIT_MS;
  while (findKeeper(env)?.place.kind === 'starting' && systemClock.now() < waitUntil) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  return keeperPath(env);
}

function keeperPath(env: Environment): string | undefined {
  const found = findKeeper(env);
  return found?.place.kind === 'up' ? found.keeper.path(found.place.socket) : undefined;
}

function findKeeper(env: Environment): { readonly keeper: KeeperPlace; readonly place: Place } | undefined {
  const directory = openRuntimeDirectory(env);
  if (directory === undefined) return undefined;
  const keeper = new KeeperPlace(directory);
  return { keeper, place: keeper.find(systemClock.wallNow()) };
}

function format(status: KeeperStatus | undefined, json: boolean): string {
  if (json) return `${JSON.stringify({ schema: SCHEMA, keeper: status ?? null })}\n`;
  return status === undefined ? 'there is no keeper\n' : keeperTable(status);
}
