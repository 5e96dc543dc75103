/** The arguments of session-manager-plugin: every form that callers have, and that no secret comes back in an answer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readInvocation } from '../../src/cli/plugin/contract.ts';
import { PLUGIN_VERSION } from '../../src/cli/plugin/run-plugin.ts';
import type { ProxyError } from '../../src/errors.ts';
import { compareVersions } from '../../src/protocol/versions.ts';

const ANSWER = { SessionId: 'me-0123', TokenValue: 'secret-token', StreamUrl: 'wss://secret-url' };
const GRANT = { sessionId: 'me-0123', tokenValue: 'secret-token', streamUrl: 'wss://secret-url' };
const NOTHING = {
  region: undefined,
  profile: undefined,
  target: undefined,
  documentName: undefined,
  ssmEndpoint: undefined,
};
const REQUEST = JSON.stringify({ Target: 'i-0123456789abcdef0', DocumentName: 'AWS-StartSSHSession' });
const SSM = 'https://ssm.eu-west-1.amazonaws.com';

/** The call of a session; fails for any other invocation. */
function callOf(argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const invocation = readInvocation(argv, env);
  assert.ok(invocation.kind === 'session', invocation.kind);
  return invocation.call;
}

describe('a session', () => {
  test('six arguments, as the AWS CLI gives them', () => {
    assert.deepEqual(callOf([JSON.stringify(ANSWER), 'eu-west-1', 'StartSession', 'work', REQUEST, SSM]), {
      grant: GRANT,
      region: 'eu-west-1',
      profile: 'work',
      target: 'i-0123456789abcdef0',
      documentName: 'AWS-StartSSHSession',
      ssmEndpoint: SSM,
    });
  });

  test('three arguments, as older ones give them; an empty profile is none', () => {
    const three = callOf([JSON.stringify(ANSWER), 'eu-west-1', 'StartSession']);
    assert.deepEqual(three, { ...NOTHING, grant: GRANT, region: 'eu-west-1' });
    assert.equal(callOf([JSON.stringify(ANSWER), 'eu-west-1', 'StartSession', '']).profile, undefined);
  });

  for (const name of ['AWS_SSM_START_SESSION_RESPONSE', 'AWS_SSM_START_SESSION_RESPONSE_7f']) {
    test(`the answer is in the variable ${name}`, () => {
      const argv = [name, 'eu-west-1', 'StartSession'];
      assert.deepEqual(callOf(argv, { [name]: JSON.stringify(ANSWER) }).grant, GRANT);
      assert.throws(() => readInvocation(argv, {}), { code: 'USAGE' });
    });
  }

  test('keys in any case; others are ignored', () => {
    const answers = [
      { sessionId: 'me-0123', tokenValue: 'secret-token', streamUrl: 'wss://secret-url' },
      {
        SESSIONID: 'me-0123',
        tokenvalue: 'secret-token',
        StreamURL: 'wss://secret-url',
        ResponseMetadata: {},
      },
    ];
    for (const answer of answers)
      assert.deepEqual(callOf([JSON.stringify(answer), 'r', 'StartSession']).grant, GRANT);
  });

  test('the endpoint of ECS is not one for SSM', () => {
    const endpointOf = (endpoint: string) =>
      callOf([JSON.stringify(ANSWER), 'r', 'StartSession', '', '{}', endpoint]).ssmEndpoint;
    assert.equal(endpointOf('https://ecs.eu-west-1.amazonaws.com'), undefined);
    assert.equal(endpointOf('https://ecs-fips.us-gov-west-1.amazonaws.com'), undefined);
    assert.equal(endpointOf('http://127.0.0.1:4566'), 'http://127.0.0.1:4566');
  });

  test('a request that cannot be read tells nothing', () => {
    for (const request of ['', 'no json', '[]', 'null', '{"Target":7}']) {
      const call = callOf([JSON.stringify(ANSWER), 'r', 'StartSession', '', request]);
      assert.equal(call.target, undefined, request);
    }
  });

  test('an answer that cannot be used is refused without a word of it', () => {
    for (const answer of [
      '{"TokenValue":"secret-token"',
      JSON.stringify({ ...ANSWER, SessionId: undefined }),
      JSON.stringify({ ...ANSWER, StreamUrl: '' }),
      JSON.stringify({ ...ANSWER, TokenValue: 7 }),
      '"secret-token"',
      '',
    ]) {
      assert.throws(
        () => readInvocation([answer, 'r', 'StartSession'], {}),
        (error: ProxyError) =>
          error.code === 'USAGE' &&
          error.cause === undefined &&
          !`${error.message} ${error.hint}`.includes('secret'),
        answer,
      );
    }
  });
});

test('no session: whether it is there, its version, and what it does not know', () => {
  assert.deepEqual(readInvocation([], {}), { kind: 'presence' });
  assert.deepEqual(readInvocation(['--version'], {}), { kind: 'version' });
  assert.deepEqual(readInvocation(['--help'], {}), { kind: 'unknown', word: '--help' });
  assert.deepEqual(readInvocation(['--version', 'x'], {}), { kind: 'unknown', word: '--version' });
  assert.deepEqual(readInvocation([JSON.stringify(ANSWER), 'r'], {}), { kind: 'unknown', word: '{...}' });
  assert.deepEqual(readInvocation([JSON.stringify(ANSWER), 'r', 'Resume'], {}), { kind: 'foreignOperation' });
});

test('the version is one to which the AWS CLI gives secrets in the environment', () => {
  assert.match(PLUGIN_VERSION, /^\d+(\.\d+){0,3}$/);
  assert.ok(compareVersions(PLUGIN_VERSION, '1.2.497.0') > 0);
});
