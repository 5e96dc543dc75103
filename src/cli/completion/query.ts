/**
 * What completion scripts ask the program, hidden from --help: `complete-targets <word> [words before it..]` and
 * `complete-profiles`. One candidate a line, a tab, what it is. The line being typed is somebody's prompt: nothing ever
 * goes to stderr, the exit status is 0, and an answer that cannot be had in time is no answer.
 */
import { readConfigFiles } from '../../aws/config-files.ts';
import type { CliIo } from '../io.ts';
import { OptionReader } from '../option-values.ts';
import { optionsOf } from '../options.ts';
import { writeOut } from '../output.ts';
import { configuredValues } from '../settings/config-path.ts';
import { readTargetOptions } from '../target-options.ts';
import type { InstanceQuery } from './known-instances.ts';
import { knownInstances, refreshInstances } from './known-instances.ts';
import type { Candidate } from './target-words.ts';
import { targetCandidates } from './target-words.ts';

/** True for a command line that is a query. Not in COMMANDS, so that no help shows it. */
export function isQuery(command: string): boolean {
  return ['complete-targets', 'complete-profiles', REFRESH].includes(command);
}

const REFRESH = 'complete-targets-refresh';
/** The command whose options say where to look for instances. */
const LOOKS_FOR_INSTANCES = 'resolve';

/** Exit status 0. Never throws. */
export async function answerQuery(argv: readonly string[], io: CliIo): Promise<number> {
  const [query, typed = '', ...before] = argv;
  try {
    const lines = (await candidates(query ?? '', typed, before, io)).map(
      ({ word, meaning }) => `${word}\t${meaning}\n`,
    );
    await writeOut(io.stdout, lines.join(''));
  } catch {
    // No credentials, no permission, no network: there is nothing to offer.
  }
  return 0;
}

async function candidates(
  query: string,
  typed: string,
  before: readonly string[],
  io: CliIo,
): Promise<readonly Candidate[]> {
  if (query === 'complete-profiles') return profiles(typed, io);
  const instances = await readQuery(before, io);
  if (query === REFRESH) {
    await refreshInstances(instances);
    return [];
  }
  return targetCandidates(await knownInstances(instances, [REFRESH, '', ...before]), typed);
}

function profiles(typed: string, io: CliIo): readonly Candidate[] {
  return [...readConfigFiles(io.env).profiles]
    .filter(([name]) => name.startsWith(typed) && /^[^\p{C}-][^\p{C}]*$/u.test(name))
    .map(([name, settings]) => ({ word: name, meaning: settings['region'] ?? '' }))
    .sort((a, b) => (a.word < b.word ? -1 : 1));
}

/** Options among the words typed so far, which may also be of a command that has further ones. */
async function readQuery(words: readonly string[], io: CliIo): Promise<InstanceQuery> {
  const texts = new Map<string, readonly string[]>();
  for (const { name, value } of optionsOf(LOOKS_FOR_INSTANCES)) {
    if (value === undefined) continue;
    const given = words.flatMap((word, index) => {
      if (word === `--${name}`) return words.slice(index + 1, index + 2);
      return word.startsWith(`--${name}=`) ? [word.slice(name.length + 3)] : [];
    });
    const last = given.at(-1);
    if (last !== undefined && last !== '') texts.set(name, [last]);
  }
  const configured = await configuredValues(io.env, undefined);
  const options = new OptionReader(LOOKS_FOR_INSTANCES, texts, io.env, configured);
  const { regions, profile, role, endpointUrl } = readTargetOptions(options);
  return { where: { regions, profile, role, endpointUrl, ssmmessagesEndpoint: undefined }, env: io.env };
}
