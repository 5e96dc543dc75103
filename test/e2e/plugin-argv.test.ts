/**
 * session-manager-plugin started as other callers than the AWS CLI do it: by argument, by variable, with the keys of ECS,
 * with Ansible's pipes and terminal. And what it never shows.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { NODE, startCluster } from '../support/cluster.ts';
import type { Cluster } from '../support/cluster.ts';
import type { PluginHome, StartedByHand } from '../support/plugin-home.ts';
import { RESPONSE_VARIABLE, installPlugin, startSession } from '../support/plugin-home.ts';
import { skipWithout } from '../support/programs.ts';
import { TestServer } from '../support/tcp-server.ts';
import { until } from '../support/until.ts';

const KEY = 'arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d';
const ECHO = '7007';

let cluster: Cluster;
let home: PluginHome;
let server: TestServer;
let target: string;

before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
  home = await installPlugin(cluster);
  server = await TestServer.start((socket) => {
    socket.write('hello\n');
    socket.pipe(socket);
  });
  target = cluster.instanceId(NODE);
  cluster.emulator.controls.changeInstance(target, { dial: { [ECHO]: server.address } });
});
after(async () => {
  await cluster.close();
  server.close();
});
afterEach(async () => {
  cluster.emulator.controls.setKmsKey(undefined);
  cluster.reset();
  await cluster.checkNothingLeft();
});

const commandSession = (command: string, name = 'AWS-StartNonInteractiveCommand') =>
  startSession(cluster, { Target: target, DocumentName: name, Parameters: { command: [command] } });
const portSession = (portNumber: string): Promise<StartedByHand> =>
  startSession(cluster, {
    Target: target,
    DocumentName: 'AWS-StartSSHSession',
    Parameters: { portNumber: [portNumber] },
  });
const restOf = (request: object = { Target: target }): readonly string[] => [
  ...[cluster.emulator.region, 'StartSession', '', JSON.stringify(request), cluster.emulator.endpoint],
];

describe('answers without a session', () => {
  for (const [args, output, exitStatus] of [
    [
      [],
      '\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n',
      0,
    ],
    [['--version'], '1.2.835.0\n', 0],
    [
      ['--help'],
      '\nUnknown operation --help. \nUse session-manager-plugin --version to check the version.\n\n',
      0,
    ],
    [['{"TokenValue":"t"}', 'r', 'Resume'], 'Invalid Operation', 2],
    [['{oops', 'r', 'StartSession'], 'Cannot perform start session: what the caller gave is not JSON\n', 2],
  ] as const) {
    test(JSON.stringify(args), async () => {
      const { status, stdout, stderr } = await cluster.run(home.plugin, args);
      assert.deepEqual([stdout.toString(), stderr, status], [output, '', exitStatus]);
    });
  }
});

describe('a session is started', () => {
  test('by argument and by variable', async () => {
    for (const isInVariable of [false, true]) {
      const { response, sessionId } = await commandSession('echo hello there');
      const { status, stdout, stderr } = await cluster.run(
        home.plugin,
        [isInVariable ? RESPONSE_VARIABLE : response, ...restOf()],
        isInVariable ? { env: { [RESPONSE_VARIABLE]: response } } : {},
      );
      assert.deepEqual([status, stderr], [0, '']);
      assert.equal(
        stdout.toString(),
        `\nStarting session with SessionId: ${sessionId}\nhello there\n\n\nExiting session with sessionId: ${sessionId}.\n\n`,
      );
    }
  });

  test('by three arguments; encrypted, it needs more', async () => {
    const { response } = await commandSession('echo hello');
    const three = await cluster.run(home.plugin, [response, cluster.emulator.region, 'StartSession']);
    assert.equal(three.status, 0, three.stderr);
    cluster.emulator.controls.setKmsKey(KEY);
    const encrypted = await commandSession('echo hello');
    const { status, stderr } = await cluster.run(home.plugin, [
      ...[encrypted.response, cluster.emulator.region, 'StartSession'],
    ]);
    assert.equal(status, 76);
    assert.match(stderr, /the caller did not say its target.* \[HANDSHAKE_FAILED\]/);
  });

  test(
    'with the keys and the endpoint of aws ecs execute-command, through a cut',
    { skip: skipWithout('script') },
    async () => {
      const { response, sessionId } = await commandSession('echo up; cat', 'AWS-StartInteractiveCommand');
      const { SessionId, TokenValue, StreamUrl } = JSON.parse(response) as Record<string, string>;
      const answer = JSON.stringify({ sessionId: SessionId, tokenValue: TokenValue, streamUrl: StreamUrl });
      const program = cluster.start(
        home.plugin,
        [
          ...[answer, cluster.emulator.region, 'StartSession', ''],
          ...[JSON.stringify({ Target: target }), 'https://ecs.us-east-1.amazonaws.com'],
        ],
        { keepsInput: true },
      );
      program.stdin.write('before\n');
      await until('it answers', () => /before\r\nbefore\r\n/.test(program.outputSoFar()));
      cluster.emulator.controls.cutSession(sessionId);
      program.stdin.write('after\n');
      await until('it answers again', () => /after\r\nafter\r\n/.test(program.outputSoFar()));
      program.stdin.end();
      const { status, stderr } = await program.finished;
      assert.deepEqual([status, stderr], [0, '']);
    },
  );
});

test(
  'a command on a terminal that is silent for longer than anybody waits',
  { skip: skipWithout('script') },
  async () => {
    const { response } = await commandSession('sleep 2; echo late', 'AWS-StartInteractiveCommand');
    const { status, stdout, stderr } = await cluster.run(home.plugin, [response, ...restOf()], {
      env: { SSM_PROXY_CONNECT_TIMEOUT: '1s' },
    });
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout.toString(), /\nlate\r\n/);
  },
);

describe('a pipe to a port', () => {
  test('has the bytes of the port and nothing else, both ways', async () => {
    const { response } = await portSession(ECHO);
    // The request does not tell that it is one.
    const { status, stdout, stderr } = await cluster.run(home.plugin, [response, ...restOf()], {
      input: 'to and fro',
    });
    assert.deepEqual([status, stdout.toString(), stderr], [0, 'hello\nto and fro', '']);
  });

  test('ends at SIGHUP, as ssh ends it', async () => {
    const { response } = await portSession(ECHO);
    const program = cluster.start(home.plugin, [response, ...restOf()], { keepsInput: true });
    await until('it carries', () => program.outputSoFar() === 'hello\n');
    program.child.kill('SIGHUP');
    const { status, stderr } = await program.finished;
    assert.deepEqual([status, stderr], [129, '']);
  });

  test('fails when the agent cannot connect, and says nothing on stdout', async () => {
    cluster.emulator.controls.changeBehaviour({ portFailureMs: 0 }, target);
    const { response } = await portSession('7008');
    const { status, stdout, stderr } = await cluster.run(home.plugin, [response, ...restOf()]);
    assert.deepEqual([status, stdout.toString()], [69, '']);
    assert.match(stderr, /\[PORT_REFUSED\]/);
  });

  test('a session that is over already fails', async () => {
    const { response, sessionId } = await portSession(ECHO);
    cluster.emulator.controls.terminateSession(sessionId);
    const { status, stdout, stderr } = await cluster.run(home.plugin, [response, ...restOf()]);
    assert.deepEqual([status, stdout.toString()], [74, '']);
    assert.match(stderr, /^ssm-proxy: .*\[SESSION_(GONE|ENDED)\]/);
  });
});

test('a command has stdout, stderr, and a status where the document tells it', async () => {
  cluster.emulator.controls.addDocument({
    name: 'Own-Separate',
    sessionType: 'NonInteractiveCommands',
    parameters: { command: { defaultValue: undefined, pattern: undefined } },
    properties: {},
    command: '{{ command }}',
    separateOutputStream: true,
    minimumAgentVersion: '1.0',
  });
  const { response, sessionId } = await commandSession(
    "sh -c 'echo out; echo err >&2; exit 3'",
    'Own-Separate',
  );
  const { status, stdout, stderr } = await cluster.run(home.plugin, [response, ...restOf()]);
  assert.deepEqual([status, stderr], [3, 'err\n']);
  assert.equal(
    stdout.toString(),
    `\nStarting session with SessionId: ${sessionId}\nout\n\n\nExiting session with sessionId: ${sessionId}.\n\n`,
  );
});

test('the first Ctrl-C is for the command, the second one for the session', async () => {
  const { response } = await commandSession('sh -c \'trap "exec sleep 600.25" INT; sleep 600.125 & wait\'');
  const program = cluster.start(home.plugin, [response, ...restOf()]);
  const started = (line: string) =>
    until(`${line} runs`, () => execFileSync('ps', ['axo', 'args']).includes(`\n${line}\n`));
  await started('sleep 600.125');
  program.child.kill('SIGINT');
  await started('sleep 600.25');
  program.child.kill('SIGINT');
  assert.equal((await program.finished).status, 130);
});

/** Ansible's aws_ssm: stdin and stderr are pipes, stdout is a terminal, and the texts are waited for line by line. */
const ANSIBLE = `
import json, os, pty, re, subprocess, sys
outer, inner = pty.openpty()
plugin = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=inner, stderr=subprocess.PIPE, close_fds=True, bufsize=0)
os.close(inner)
lines = os.fdopen(outer, 'rb', 0)
def until(pattern):
    text = b''
    while not re.search(pattern, text, re.M):
        line = lines.readline()
        if not line: raise SystemExit('over after %r' % text)
        text += line
    return text
def send(text): plugin.stdin.write(text)
until(rb'Starting session with SessionId')
send(b'stty -echo\\n')
until(rb'stty -echo')
send(b"PS1=''; printf '\\\\n%s\\\\n' 'mark''1'\\n")
until(rb'\\r\\r\\nmark1\\r\\r\\n')
found = []
for command in (b'echo one; exit_status() { return 5; }; exit_status', b'seq 2000'):
    send(b"printf '%s\\\\n' 'be''gin'; echo | " + command + b"; printf '\\\\n%s\\\\n%s\\\\n' \\"$?\\" 'e''nd'\\n")
    until(rb'^begin')
    found.append(until(rb'^end').decode().replace('\\r', ''))
_, errors = plugin.communicate(b'\\nexit\\n')
print(json.dumps([found, errors.decode(), plugin.returncode]))
`;

test(
  'Ansible’s way: commands between marks, one session',
  { skip: skipWithout('python3', 'script') },
  async () => {
    const { response } = await startSession(cluster, { Target: target });
    const { status, stdout, stderr } = await cluster.run('python3', [
      ...['-c', ANSIBLE, home.plugin, response, ...restOf()],
    ]);
    assert.deepEqual([status, stderr], [0, '']);
    const [found, errors, exitStatus] = JSON.parse(stdout.toString()) as [string[], string, number];
    const numbers = Array.from({ length: 2_000 }, (_, index) => `${index + 1}\n`).join('');
    assert.deepEqual([found, errors, exitStatus], [['one\n\n5\nend\n', `${numbers}\n0\nend\n`], '', 0]);
  },
);

test('the token is in no log, no file, no environment and no argument of what is started', async () => {
  const log = join(cluster.directory, 'plugin.log');
  const seen = join(cluster.directory, 'seen');
  const { accessKeyId, secretAccessKey } = cluster.emulator.credentials;
  const credentials = { Version: 1, AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey };
  writeFileSync(join(cluster.directory, 'credentials.json'), JSON.stringify(credentials));
  // Started by the plugin: it notes what it was given.
  const script = `{ env; tr '\\0' ' ' < /proc/$PPID/cmdline; } > '${seen}' 2>/dev/null; cat '${cluster.directory}/credentials.json'`;
  writeFileSync(join(cluster.directory, 'process.sh'), script);
  const config = join(cluster.directory, 'config');
  writeFileSync(config, `[profile kept]\ncredential_process = sh '${cluster.directory}/process.sh'\n`);
  const { response, tokenValue } = await commandSession('echo hello');
  const { status, stdout, stderr } = await cluster.run(
    home.plugin,
    [RESPONSE_VARIABLE, cluster.emulator.region, 'StartSession', 'kept', JSON.stringify({ Target: target })],
    {
      env: {
        [RESPONSE_VARIABLE]: response,
        AWS_CONFIG_FILE: config,
        AWS_ACCESS_KEY_ID: '',
        AWS_SECRET_ACCESS_KEY: '',
        SSM_PROXY_LOG_FILE: log,
        SSM_PROXY_LOG_LEVEL: 'trace',
      },
    },
  );
  assert.equal(status, 0, stderr);
  const texts = {
    log: readFileSync(log, 'utf8'),
    seen: readFileSync(seen, 'utf8'),
    stderr,
    stdout: stdout.toString(),
  };
  assert.match(texts.log, /session_started/);
  assert.match(texts.seen, /SSM_PROXY_LOG_FILE=/);
  for (const [where, text] of Object.entries(texts)) {
    assert.ok(!text.includes(tokenValue), `token in ${where}`);
    assert.ok(!text.includes('role=publish'), `stream URL in ${where}`);
  }
  assert.doesNotMatch(texts.seen, new RegExp(`^${RESPONSE_VARIABLE}=`, 'm'));
});
