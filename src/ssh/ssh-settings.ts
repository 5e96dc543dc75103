/** What `ssh -G` says of one connection: all of ssh's settings, from its arguments and config files. Pure. */

export interface SshSettings {
  readonly user: string | undefined;
  /** As they are written, `~` and all; those with marks that are not known here are left out. */
  readonly identityFiles: readonly string[];
  readonly identitiesOnly: boolean;
  /** A path, `none`, `SSH_AUTH_SOCK` or a variable; undefined: not set. */
  readonly identityAgent: string | undefined;
  readonly batchMode: boolean;
  /** False: ssh waits for as long as it takes. */
  readonly hasConnectTimeout: boolean;
}

export function parseSshSettings(text: string, home: string): SshSettings {
  const values = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 1) continue;
    const name = line.slice(0, space).toLowerCase();
    values.set(name, [...(values.get(name) ?? []), line.slice(space + 1).trim()]);
  }
  const first = (name: string): string | undefined => values.get(name)?.[0];
  const user = first('user');
  const host = first('hostname') ?? '';
  const timeout = first('connecttimeout') ?? 'none';
  const marks: Readonly<Record<string, string>> = { d: home, h: host, r: user ?? '', '%': '%' };
  return {
    user,
    identityFiles: (values.get('identityfile') ?? []).flatMap((file) => {
      const expanded = file.replace(/%(.)/g, (all, mark: string) => marks[mark] ?? all);
      return /%[^%]/.test(file.replace(/%[dhr%]/g, '')) ? [] : [expanded];
    }),
    identitiesOnly: first('identitiesonly') === 'yes',
    identityAgent: first('identityagent'),
    batchMode: first('batchmode') === 'yes',
    hasConnectTimeout: timeout !== 'none' && timeout !== '0',
  };
}
