/**
 * What an ssh command line says about ConnectTimeout and StrictHostKeyChecking. Pure: OpenSSH's own rules for its arguments (getopt clusters,
 * options also after the host, the first value wins) and for times (`10`, `90s`, `1m30s`, `none`).
 *
 * Its config files may say more; they are not read.
 */

/** Options of ssh(1) that take a value, OpenSSH 2 to 10; an unknown letter counts as a switch. */
const WITH_VALUE = 'BbcDEeFIiJLlmOopPQRSWw';
const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds; undefined when the arguments (without the program's name) set none, or `none`. */
export function sshConnectTimeoutMs(args: readonly string[]): number | undefined {
  const value = firstValue(args, 'connecttimeout');
  return value === undefined ? undefined : parseTime(value);
}

/** True when they say that any host key will do. */
export function sshIgnoresHostKeys(args: readonly string[]): boolean {
  return ['no', 'off'].includes(firstValue(args, 'stricthostkeychecking')?.toLowerCase() ?? '');
}

/** `name` in lower case. */
function firstValue(args: readonly string[], name: string): string | undefined {
  for (const option of optionTexts(args)) {
    const value = valueOf(option, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The values of all `-o`, in order. Words after the host and its options are the remote command. */
function* optionTexts(args: readonly string[]): Generator<string> {
  let hasHost = false;
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? '';
    if (word === '--') {
      // What follows is the host, then the command.
      return;
    }
    if (!word.startsWith('-') || word === '-') {
      if (hasHost) return;
      hasHost = true;
      continue;
    }
    for (let at = 1; at < word.length; at += 1) {
      const letter = word.charAt(at);
      if (!WITH_VALUE.includes(letter)) continue;
      const attached = word.slice(at + 1);
      if (attached === '') index += 1;
      const value = attached === '' ? args[index] : attached;
      if (letter === 'o' && value !== undefined) yield value;
      break;
    }
  }
}

/** `Name=value`, `Name value`, `Name = "value"`; names in any case. */
function valueOf(option: string, name: string): string | undefined {
  const [, given = '', value = ''] = /^\s*([a-z0-9]+)(?:\s*=\s*|\s+)(.*?)\s*$/i.exec(option) ?? [];
  return given.toLowerCase() === name ? value.replace(/^"(.*)"$/, '$1') : undefined;
}

/** Milliseconds; undefined for `none`, for 0 and for what ssh itself would refuse. */
function parseTime(text: string): number | undefined {
  if (!/^(?:\d{1,9}[smhdw]?)+$/i.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+)([smhdw]?)/gi)) {
    totalMs += Number(amount) * (UNIT_MS[unit.toLowerCase()] ?? 1_000);
  }
  return totalMs > 0 ? totalMs : undefined;
}
