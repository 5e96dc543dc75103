/**
 * The person's web browser: whether there is one on this machine's screen, and how to open a page in it.
 *
 * BROWSER goes first, as in xdg-open and Python's webbrowser: a list separated by colons, of which the first is taken,
 * `%s` in it standing for the URL.
 */
import { spawn } from 'node:child_process';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Browser {
  /** False: it may run on another machine (VS Code's helper over SSH), where our loopback address means nothing. */
  readonly isLocal: boolean;
  /** Opens the page, without waiting for it. False when that failed at once. */
  open(url: string): Promise<boolean>;
}

/** How long a program may take to fail. Milliseconds. */
const FAILS_WITHIN_MS = 1_000;

/** Undefined where nobody would see a page: over SSH, or on Linux without a display. */
export function findBrowser(env: Environment, platform: NodeJS.Platform): Browser | undefined {
  const isRemote = Boolean(env['SSH_CONNECTION'] || env['SSH_TTY']);
  const command = browserCommand(env, platform, isRemote);
  if (command === undefined) return undefined;
  return { isLocal: !isRemote, open: (url) => run(command, url, env) };
}

function browserCommand(
  env: Environment,
  platform: NodeJS.Platform,
  isRemote: boolean,
): readonly string[] | undefined {
  const [chosen] = (env['BROWSER'] ?? '').split(':').filter((each) => each.trim() !== '');
  if (chosen !== undefined) return chosen.trim().split(/\s+/);
  if (isRemote) return undefined;
  switch (platform) {
    case 'darwin':
      return ['open'];
    case 'win32':
      // No shell: the URL's `&` stays what it is.
      return ['rundll32.exe', 'url.dll,FileProtocolHandler'];
    default:
      if (env['WSL_DISTRO_NAME']) return ['wslview'];
      return env['DISPLAY'] || env['WAYLAND_DISPLAY'] ? ['xdg-open'] : undefined;
  }
}

function run(command: readonly string[], url: string, env: Environment): Promise<boolean> {
  const words = command.some((word) => word.includes('%s'))
    ? command.map((word) => word.replaceAll('%s', url))
    : [...command, url];
  const [program = '', ...args] = words;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', detached: true, env: { ...env } });
    const timer = setTimeout(() => settle(true), FAILS_WITHIN_MS);
    const settle = (isOpen: boolean): void => {
      clearTimeout(timer);
      resolve(isOpen);
    };
    child.once('error', () => settle(false));
    child.once('exit', (status) => settle(status === 0));
    // It may stay for as long as the person browses.
    child.unref();
  });
}
