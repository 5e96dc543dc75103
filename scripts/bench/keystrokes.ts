/**
 * From a key to its echo: one byte into a terminal on the node and back, over `ssm-proxy shell` (the bare data channel,
 * with the agent's own terminal) and over ssh through `ssm-proxy connect` (SSH inside it). Both stay open and take
 * turns, one key each.
 */
import { cliPath } from '../../test/support/cli.ts';
import { startCloud } from './cloud.ts';
import type { Cloud } from './cloud.ts';
import type { BenchGroup, BenchOptions, Figure } from './figure.ts';
import { Keyboard } from './keyboard.ts';
import { pairedRatio, spread, takeTurns } from './samples.ts';

/** Round trips to AWS in ms. */
const LATENCIES = [0, 50];
const KEYS = 300;

export const keystrokes: BenchGroup = {
  name: 'keystrokes',
  about: 'From a key to its echo, `shell` and ssh through `connect`',
  async run(options) {
    const figures: Figure[] = [];
    for (const roundTripMs of LATENCIES) figures.push(...(await measure(roundTripMs, options)));
    return figures;
  },
};

async function measure(roundTripMs: number, { scale }: BenchOptions): Promise<readonly Figure[]> {
  const cloud = await startCloud(['--nodes', '1']);
  const keyboards: Keyboard[] = [];
  try {
    await cloud.control('PATCH', 'faults', { link: { latencyMs: roundTripMs / 2 } });
    const shell = new Keyboard(cloud, [process.execPath, cliPath, 'shell', cloud.host, '--quiet']);
    const ssh = new Keyboard(cloud, sshCommand(cloud));
    keyboards.push(shell, ssh);
    // A command that reads and says nothing: what comes back is the terminal's echo alone.
    for (const keyboard of keyboards) await keyboard.run('stty -icanon; cat > /dev/null');
    const series = await takeTurns(Math.max(20, Math.round(KEYS * scale)), {
      shell: () => shell.echoMs(),
      ssh: () => ssh.echoMs(),
    });
    const [overShell = [], overSsh = []] = [series.get('shell'), series.get('ssh')];
    return [
      {
        name: `key to echo at ${roundTripMs} ms, shell over ssh`,
        value: pairedRatio(overShell, overSsh),
        unit: 'x',
        note: `shell ${spread(overShell, 'ms')}; ssh ${spread(overSsh, 'ms')}`,
      },
    ];
  } finally {
    for (const keyboard of keyboards) keyboard.close();
    await cloud.close();
  }
}

function sshCommand({ host, identityFile, sshUser }: Cloud): readonly string[] {
  return [
    ...['ssh', '-F', 'none', '-tt', '-q', '-i', identityFile, '-o', 'IdentitiesOnly=yes'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-o', `ProxyCommand='${process.execPath}' '${cliPath}' connect %h %p`],
    ...[`${sshUser}@${host}`, 'sh'],
  ];
}
