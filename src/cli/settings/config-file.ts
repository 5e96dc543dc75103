/**
 * The user's config file: options by host, in YAML.
 *
 *   defaults:                       # for every target
 *     region: us-east-1
 *   hosts:                          # as in ssh_config, the first part that gives an option wins
 *     - match: [10.1.*, research-*] # names with * and ?, networks, ! to leave out
 *       profile: research
 *       region: [us-east-1, us-west-2]
 *       tag: { team: ml }
 *
 * What is said of hosts goes before AWS's own variables, what is said in defaults after them: the one is about these
 * targets, the other for those who say nothing.
 *
 * Keys are names of options (docs/options.md), so whatever a variable can set, the file can. Loaded only when there is
 * a file: the YAML reader comes with it.
 */
import type { Node, YAMLMap } from 'yaml';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { parseTarget, regionOf } from '../../aws/target.ts';
import { ProxyError } from '../../errors.ts';
import type { ConfiguredValue, ConfiguredValues, Environment } from '../option-values.ts';
import { OPTIONS } from '../options.ts';
import type { OptionSpec } from '../options.ts';
import type { HostPatterns } from './host-pattern.ts';
import { parseHostPatterns } from './host-pattern.ts';
import { readPrivateText } from './private-text.ts';

export interface Config {
  /** The values for one target; undefined: those that hold for all. `env`: the variables that go before defaults. */
  forTarget(target: string | undefined, env: Environment): ConfiguredValues;
}

interface Part {
  /** Undefined: every target. */
  readonly patterns: HostPatterns | undefined;
  readonly values: ConfiguredValues;
}

/** AWS's own variables that say what an option does. Keys are an identity, as a profile is. */
const AWS_VARIABLES: ReadonlyMap<string, readonly string[]> = new Map([
  ['region', ['AWS_REGION', 'AWS_DEFAULT_REGION']],
  ['profile', ['AWS_PROFILE', 'AWS_DEFAULT_PROFILE', 'AWS_ACCESS_KEY_ID']],
  ['endpoint-url', ['AWS_ENDPOINT_URL']],
  ['ssmmessages-endpoint', ['AWS_ENDPOINT_URL_SSMMESSAGES']],
]);

function isInEnvironment(name: string, env: Environment): boolean {
  return (AWS_VARIABLES.get(name) ?? []).some((variable) => (env[variable] ?? '') !== '');
}

/** Whatever has a variable. */
export function configurableOptions(): readonly OptionSpec[] {
  const all: readonly OptionSpec[] = OPTIONS;
  return all.filter(({ env }) => env !== undefined);
}

/** CONFIG_INVALID: what is wrong, and in which line. */
export function readConfig(path: string): Config {
  return parseConfig(readPrivateText(path), path);
}

/** CONFIG_INVALID. `path` is for messages. */
export function parseConfig(text: string, path: string): Config {
  const parts = new ConfigReader(path, text).parts();
  return {
    forTarget(target, env) {
      const chosen = new Map<string, ConfiguredValue>();
      for (const { patterns, values } of parts) {
        if (patterns !== undefined && (target === undefined || !patterns.matches(target))) continue;
        for (const [name, value] of values) {
          const isOverruled = patterns === undefined && isInEnvironment(name, env);
          if (!chosen.has(name) && !isOverruled) chosen.set(name, value);
        }
      }
      // A name that says its region knows better than a file.
      if (target !== undefined && namesRegion(target)) chosen.delete('region');
      return chosen;
    },
  };
}

function namesRegion(target: string): boolean {
  try {
    return regionOf(parseTarget(target)) !== undefined;
  } catch {
    // No target at all: for the command to say.
    return false;
  }
}

class ConfigReader {
  readonly #path: string;
  readonly #lines = new LineCounter();
  readonly #document;

  constructor(path: string, text: string) {
    this.#path = path;
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    const [error] = this.#document.errors;
    if (error !== undefined) {
      const [line = ''] = error.message.split('\n');
      throw this.#wrong(this.#lines.linePos(error.pos[0]).line, line);
    }
  }

  /** In the order in which they are asked. */
  parts(): readonly Part[] {
    const { contents } = this.#document;
    if (contents === null) return [];
    const hosts: Part[] = [];
    const defaults: Part[] = [];
    for (const [name, value, line] of this.#entries(contents, 'the file')) {
      if (name === 'defaults') defaults.push({ patterns: undefined, values: this.#values(value, line) });
      else if (name === 'hosts') hosts.push(...this.#hosts(value, line));
      else throw this.#wrong(line, `there is no part ${JSON.stringify(name)}; parts are defaults and hosts`);
    }
    return [...hosts, ...defaults];
  }

  #hosts(value: Node | null, line: number): readonly Part[] {
    if (value === null) return [];
    if (!isSeq(value)) throw this.#wrong(line, 'hosts must be a list, each with match and options');
    return value.items.map((item) => {
      const node = this.#resolved(item as Node);
      const at = this.#lineOf(node, line);
      const match = this.#entries(node, 'a part of hosts').find(([name]) => name === 'match');
      if (match === undefined) throw this.#wrong(at, 'a part of hosts has no match');
      const texts = this.#texts('match', match[1], match[2]);
      const patterns = parseHostPatterns(texts);
      if ('wrong' in patterns) {
        throw this.#wrong(match[2], `${JSON.stringify(patterns.wrong)} is neither a name nor a network`);
      }
      return { patterns, values: this.#values(node, at) };
    });
  }

  #values(value: Node | null, line: number): ConfiguredValues {
    const values = new Map<string, ConfiguredValue>();
    if (value === null) return values;
    const options = configurableOptions();
    for (const [name, given, at] of this.#entries(value, 'options', line)) {
      if (name === 'match') continue;
      const option = options.find((spec) => spec.name === name);
      if (option === undefined) throw this.#wrong(at, `there is no option ${JSON.stringify(name)} to set`);
      const texts = this.#texts(name, given, at);
      const source = `${this.#path}:${String(at)}`;
      values.set(name, { texts: option.repeatable ? texts : [texts.join(',')], source });
    }
    return values;
  }

  /** One text, several, or `key: value` pairs. */
  #texts(name: string, node: Node | null, line: number): readonly string[] {
    if (isScalar(node)) return [this.#text(name, node, line)];
    if (isSeq(node) && node.items.length > 0) {
      return node.items.map((item) => this.#text(name, this.#resolved(item as Node), line));
    }
    if (isMap(node) && node.items.length > 0) {
      return this.#entries(node, name).map(([key, value, at]) => `${key}=${this.#text(name, value, at)}`);
    }
    throw this.#wrong(line, `${name} has no value`);
  }

  /** As it is written: an account number keeps its zeros. */
  #text(name: string, node: Node | null, line: number): string {
    if (!isScalar(node) || node.value === null) throw this.#wrong(line, `${name} has no value`);
    const { value, source } = node;
    const text = typeof value === 'string' ? value : (source ?? '');
    if (text === '') throw this.#wrong(line, `${name} has no value`);
    return text;
  }

  #entries(node: Node | null, what: string, line = 1): [name: string, value: Node | null, line: number][] {
    const map = this.#resolved(node);
    if (!isMap(map)) throw this.#wrong(this.#lineOf(map, line), `${what} must be "name: value" lines`);
    return (map as YAMLMap<Node, Node | null>).items.map(({ key, value }) => {
      const at = this.#lineOf(key, line);
      if (!isScalar(key)) throw this.#wrong(at, 'a name must be a plain word');
      return [String(key.value), this.#resolved(value), at];
    });
  }

  /** What an alias stands for; null for nothing, as in `hosts:`. */
  #resolved(node: Node | null): Node | null {
    const found = isAlias(node) ? (node.resolve(this.#document) ?? null) : node;
    return isScalar(found) && found.value === null ? null : found;
  }

  #lineOf(node: Node | null, otherwise: number): number {
    const [start] = node?.range ?? [];
    return start === undefined ? otherwise : this.#lines.linePos(start).line;
  }

  #wrong(line: number, what: string): ProxyError {
    return new ProxyError('CONFIG_INVALID', `${this.#path}:${String(line)}: ${what}`, {
      hint: 'docs/configuration.md has an example; ssm-proxy config show says what is understood',
    });
  }
}
