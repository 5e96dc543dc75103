// Debian packages that end-to-end tests use: a real sshd, rsync, the AWS CLI. Installed where that needs no question: on
// Debian and its kin, as root. Elsewhere the tests that need them skip and say so.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

// `unusual`: not in every release's archive (Ubuntu 24.04 has no awscli), and one unknown name fails the whole call.
const packages = [
  { name: 'openssh-client', program: 'ssh' },
  { name: 'openssh-server', program: 'sshd' },
  { name: 'rsync', program: 'rsync' },
  { name: 'git', program: 'git' },
  { name: 'awscli', program: 'aws', unusual: true },
];

/** Installs what is missing if it can; otherwise says what is missing and why it stays so. Never throws. */
export function ensureSystemPackages() {
  const missing = packages.filter(({ program }) => !isOnPath(program));
  if (missing.length === 0) return;
  const names = missing.map(({ name }) => name);
  const obstacle = whyNotInstallable();
  if (obstacle !== undefined) {
    process.stderr.write(
      `Missing: ${names.join(', ')}; not installed (${obstacle}). Tests that need them are skipped.\n`,
    );
    return;
  }
  process.stderr.write(`Installing ${names.join(', ')} with apt-get ...\n`);
  aptGet(['update']);
  const groups = [
    missing.filter(({ unusual }) => !unusual),
    ...missing.filter(({ unusual }) => unusual).map((each) => [each]),
  ];
  for (const group of groups) {
    if (group.length === 0) continue;
    aptGet(['install', '--yes', '--no-install-recommends', ...group.map(({ name }) => name)]);
  }
  const still = missing.filter(({ program }) => !isOnPath(program)).map(({ name }) => name);
  if (still.length > 0) {
    process.stderr.write(
      `apt-get could not install ${still.join(', ')}. Tests that need them are skipped.\n`,
    );
  }
}

function whyNotInstallable() {
  if (process.platform !== 'linux' || !existsSync('/etc/debian_version'))
    return 'this is not a Debian system';
  if (process.getuid?.() !== 0) return 'that needs root';
  if (!isOnPath('apt-get')) return 'there is no apt-get';
  return undefined;
}

function aptGet(args) {
  spawnSync('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 2, 2],
    timeout: 300_000,
  });
}

function isOnPath(program) {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
