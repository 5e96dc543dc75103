/** Options of the measuring scripts: `--name value` and words. A mistake ends the script before it starts. */

export interface ScriptOptions {
  readonly words: readonly string[];
  readonly values: Readonly<Record<string, string>>;
}

/** Throws for an option that `names` does not have, and for one without a value. */
export function readOptions(
  script: string,
  args: readonly string[],
  names: readonly string[],
): ScriptOptions {
  const words: string[] = [];
  const values: Record<string, string> = {};
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? '';
    if (!arg.startsWith('--')) {
      words.push(arg);
      continue;
    }
    const [name = '', inline] = arg.slice(2).split('=', 2);
    const value = inline ?? args[(i += 1)];
    if (!names.includes(name) || value === undefined) {
      throw new Error(`${script} takes ${names.map((known) => `--${known} <value>`).join(', ')}; not ${arg}`);
    }
    values[name] = value;
  }
  return { words, values };
}

export function numberOption(options: ScriptOptions, name: string, fallback: number): number {
  const text = options.values[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new Error(`--${name} takes a number, not ${text}`);
  return value;
}
