/** Completion as people have it: real bash, zsh and fish, the built program, nodes of the emulator. */
import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { startCluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { programFolder, startShell } from '../support/shell-line.ts';
import type { ShellLines } from '../support/shell-line.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
/** Proof that a Name tag was run as a command. */
let proof = '';

before(async () => {
  cluster = await startCluster({ withSshd: false });
  proof = join(cluster.directory, 'proof');
  // Nobody logs in to these: any address does.
  const add = (name: string, privateIp: string) =>
    cluster.emulator.controls.addInstance({
      name,
      privateIp,
      dial: { '22': { host: '127.0.0.1', port: 1 } },
    });
  await add('my&node', '10.0.9.1');
  await add(`evil$(touch${'${IFS}'}${proof})`, '10.0.9.2');
  await add('-dash', '10.0.9.3');
  await add('twin', '10.0.9.4');
  await add('twin', '10.0.9.5');
  for (const [role, privateIp] of [
    ['head', '10.0.6.1'],
    ['worker', '10.0.6.2'],
  ] as const) {
    const tags = { 'skypilot-cluster-name': 'train-1a2b3c', 'ray-node-type': role };
    const name = `sky-train-1a2b3c-${role}`;
    await cluster.emulator.controls.addInstance({
      name,
      privateIp,
      tags,
      dial: { '22': { host: '127.0.0.1', port: 1 } },
    });
  }
  await add('gpu-1', '10.0.7.1');
  await add('white space', '10.0.7.2');
  await add('db:main', '10.0.8.1');
  mkdirSync(join(cluster.directory, 'home', '.aws'));
  writeFileSync(
    join(cluster.directory, 'home', '.aws', 'config'),
    '[default]\n[profile research]\nregion = eu-west-1\n',
  );
});
after(() => cluster.close());

async function scriptFile(shell: string): Promise<string> {
  const { status, stdout, stderr } = await cluster.cli(['completion', shell]);
  assert.deepEqual([status, stderr], [0, '']);
  const file = join(cluster.directory, `completion.${shell}`);
  writeFileSync(file, stdout);
  return file;
}

/** What is offered, the keys, and what is on the line then; the same in bash and zsh. */
const LINES: readonly (readonly [what: string, keys: string, line: string | RegExp])[] = [
  ['a command', 'ssm-proxy reso\t', 'ssm-proxy resolve '],
  ['a switch', 'ssm-proxy sessions --forg\t', 'ssm-proxy sessions --forgotten '],
  ['no option of another command', 'ssm-proxy resolve --forg\t', 'ssm-proxy resolve --forg'],
  ['no switch twice', 'ssm-proxy connect --quiet --qui\t', 'ssm-proxy connect --quiet --qui'],
  ['a word of a choice', 'ssm-proxy sessions e\t', 'ssm-proxy sessions end '],
  ['the shells', 'ssm-proxy completion z\t', 'ssm-proxy completion zsh '],
  ['an address', 'ssm-proxy resolve 10.0.9.1\t', 'ssm-proxy resolve 10.0.9.1 '],
  ['the common part of addresses', 'ssm-proxy resolve 10.0.\t', 'ssm-proxy resolve 10.0.'],
  ['a Name tag', 'ssm-proxy resolve my\t', 'ssm-proxy resolve my\\&node '],
  ['a Name tag with a colon', 'ssm-proxy resolve db:m\t', /^ssm-proxy resolve db\\?:main $/],
  ['a Name tag with a command, quoted', 'ssm-proxy resolve ev\t', /^ssm-proxy resolve evil\\\$\\\(touch\\\$/],
  ['no name that begins with a dash', 'ssm-proxy resolve -d\t', 'ssm-proxy resolve -d'],
  ['a node of a cluster', 'ssm-proxy resolve train-w\t', 'ssm-proxy resolve train-worker1 '],
  ['no name with white space', 'ssm-proxy resolve whi\t', 'ssm-proxy resolve whi'],
  ['no name of two instances', 'ssm-proxy resolve tw\t', 'ssm-proxy resolve tw'],
  ['a target after options', 'ssm-proxy wait --region us-east-1 --quiet my\t', /--quiet my\\&node $/],
  ['no second target', 'ssm-proxy connect 10.0.9.2 my\t', 'ssm-proxy connect 10.0.9.2 my'],
  ['a value', 'ssm-proxy connect --pace s\t', 'ssm-proxy connect --pace safe '],
  ['a value after a sign', 'ssm-proxy connect --pace=s\t', 'ssm-proxy connect --pace=safe '],
  ['a log level', 'ssm-proxy connect --log-level tr\t', 'ssm-proxy connect --log-level trace '],
  ['a profile', 'ssm-proxy resolve --profile res\t', 'ssm-proxy resolve --profile research '],
  [
    'a second target where there may be several',
    'ssm-proxy exec twin my\t',
    'ssm-proxy exec twin my\\&node ',
  ],
  ['no target after two dashes', 'ssm-proxy exec my -- my\t', 'ssm-proxy exec my -- my'],
  ['a word that stands for itself', 'ssm-proxy config sh\t', 'ssm-proxy config show '],
  ['no option after two dashes', 'ssm-proxy connect -- --qui\t', 'ssm-proxy connect -- --qui'],
];
const ONLY_BASH: typeof LINES = [
  [
    'a command after an option',
    'ssm-proxy --region us-east-1 reso\t',
    'ssm-proxy --region us-east-1 resolve ',
  ],
  ['a Name tag in quotes', 'ssm-proxy resolve "gpu\t', 'ssm-proxy resolve "gpu-1" '],
  ['no name that means something in quotes', 'ssm-proxy resolve "ev\t', 'ssm-proxy resolve "ev'],
  ['the rest of a quoted name', 'ssm-proxy resolve my\\&n\t', 'ssm-proxy resolve my\\&node '],
];

for (const shell of ['bash', 'zsh'] as const) {
  describe(`${shell} completes`, { skip: skipWithout(shell, 'script') }, () => {
    let lines: ShellLines;
    before(async () => {
      lines = await startShell(cluster, shell, await scriptFile(shell));
      // Fills the cache: a key press gives up after a second.
      await cluster.cli(['complete-targets', '']);
    });
    after(() => lines.close());

    for (const [what, keys, wanted] of shell === 'bash' ? [...LINES, ...ONLY_BASH] : LINES) {
      test(what, async () => {
        const line = await lines.type(keys);
        if (typeof wanted === 'string') assert.equal(line, wanted);
        else assert.match(line, wanted);
        assert.ok(!existsSync(proof), 'the Name tag was run');
      });
    }
  });
}

describe('fish completes', { skip: skipWithout('fish') }, () => {
  let script = '';
  before(async () => {
    script = await scriptFile('fish');
    await cluster.cli(['complete-targets', '']);
  });

  for (const [what, line, wanted] of [
    ['commands', 'ssm-proxy reso', ['resolve']],
    ['a command after an option', 'ssm-proxy --region us-east-1 reso', ['resolve']],
    ['options of the command', 'ssm-proxy sessions --fo', ['--forgotten']],
    ['no option of another command', 'ssm-proxy resolve --forg', []],
    ['words of a choice', 'ssm-proxy sessions ', ['end', 'list']],
    ['targets', 'ssm-proxy resolve 10.0.9.', ['1', '2', '3', '4', '5'].map((end) => `10.0.9.${end}`)],
    ['a Name tag', 'ssm-proxy connect --quiet my', ['my&node']],
    ['no second target', 'ssm-proxy resolve 10.0.9.2 my', []],
    ['a second target where there may be several', 'ssm-proxy exec twin my', ['my&node']],
    ['nothing after two dashes', 'ssm-proxy exec my -- my', []],
    ['values', 'ssm-proxy connect --pace ', ['auto', 'off', 'safe']],
    ['values after a sign', 'ssm-proxy connect --pace=sa', ['--pace=safe']],
    ['profiles', 'ssm-proxy resolve --profile res', ['research']],
  ] as const) {
    test(what, async () => {
      const { stdout, stderr } = await cluster.run(
        'fish',
        ['-N', '-c', `source ${script}; complete -C '${line}'`],
        {
          env: { PATH: `${programFolder(cluster)}:${cluster.env['PATH'] ?? ''}` },
        },
      );
      const words = stdout
        .toString()
        .split('\n')
        .filter((text) => text !== '');
      assert.deepEqual([words.map((text) => text.split('\t')[0]).sort(), stderr], [wanted, '']);
    });
  }
});

describe('what the scripts ask', () => {
  const ask = async (typed: string, env: Readonly<Record<string, string>> = {}): Promise<string> => {
    const { status, stdout, stderr } = await cluster.cli(['complete-targets', typed], { env });
    assert.deepEqual([status, stderr], [0, '']);
    return stdout.toString();
  };
  const folder = (): string => join(cluster.env['XDG_RUNTIME_DIR'] ?? '', 'ssm-proxy', 'lookups');
  const answerFile = (): string => {
    const names = readdirSync(folder()).filter((name) => statSync(join(folder(), name)).size > 100);
    assert.equal(names.length, 1);
    return join(folder(), names[0] ?? '');
  };
  const describeCalls = (): number =>
    cluster.emulator.controls.state().calls['ec2:DescribeInstances']?.calls ?? 0;

  test('a node is offered by the shortest name, with what it is', async () => {
    cluster.reset();
    const head = cluster.emulator.instances[0];
    const lines = (await ask('')).split('\n');
    assert.ok(lines.includes(`${head?.name}\t${head?.privateIp} ${head?.instanceId} running`));
    assert.ok(lines.some((line) => line.startsWith('10.0.9.4\ttwin i-')));
    assert.ok(!lines.some((line) => line.startsWith(`${head?.privateIp}\t`)));
    assert.ok(lines.some((line) => line.startsWith('train\t10.0.6.1 i-')));
    assert.equal(await ask('i-none'), '');
    assert.match(await ask(head?.instanceId.slice(0, 8) ?? ''), new RegExp(`^${head?.instanceId}\t`));
    assert.match(await ask('ubuntu@10.0.9.1'), /^ubuntu@10\.0\.9\.1\tmy&node i-/);
  });

  test('AWS is asked once, and the answer is in a file for this user only', async () => {
    cluster.reset();
    const before = describeCalls();
    for (const typed of ['', 'm', 'my', '10.']) await ask(typed);
    assert.equal(describeCalls(), before + 1);
    assert.equal(statSync(answerFile()).mode & 0o777, 0o600);
    assert.equal(statSync(folder()).mode & 0o777, 0o700);
    const text = readFileSync(answerFile(), 'utf8');
    assert.ok(!text.includes(cluster.emulator.credentials.secretAccessKey));
  });

  test('other credentials have another answer', async () => {
    cluster.reset();
    assert.notEqual(await ask('my'), '');
    assert.equal(await ask('my', { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE' }), '');
  });

  test('an answer of a minute ago is given at once, and a process that stays behind gets a new one', async () => {
    cluster.reset();
    await ask('my');
    const file = answerFile();
    const stored = JSON.parse(readFileSync(file, 'utf8')) as { at: number; answer: { name?: string }[] };
    const old = { at: stored.at - 120_000, answer: [{ ...stored.answer[0], name: 'myth' }] };
    writeFileSync(file, JSON.stringify(old));
    assert.match(await ask('my'), /^myth\t/);
    await until('the file is new', () => !readFileSync(file, 'utf8').includes('myth'));
    assert.match(await ask('my'), /^my&node\t/);
    await until('nothing runs', () => cluster.processes().length === 0);
  });

  test('a service that never answers, no credentials and no region end with nothing, without a word', async () => {
    cluster.reset();
    const silent = createServer().listen(0, '127.0.0.1');
    await until('the server listens', () => silent.listening);
    const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const held = new Promise<void>((resolve) => silent.once('connection', () => resolve()));
    assert.equal(await ask('', { AWS_ENDPOINT_URL: endpoint }), '');
    await held;
    assert.equal(await ask('', { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }), '');
    assert.equal(await ask('', { AWS_REGION: '' }), '');
    assert.equal(await ask('', { AWS_PROFILE: 'nobody' }), '');
    // It stays behind to ask once more, and has an end of its own.
    for (const line of cluster.processes()) process.kill(Number(line.split(' ')[0]), 'SIGKILL');
    silent.close();
    await until('nothing runs', () => cluster.processes().length === 0);
  });
});
