/** Fault settings from outside: merged, checked, and documented. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProxyError } from '../../src/errors.ts';
import { mergeFaults } from '../../src/emulator/fault-settings.ts';
import { defaultFaults } from '../../src/emulator/faults.ts';

test('a change touches only what it names', () => {
  const faults = mergeFaults(defaultFaults(), { link: { latencyMs: 20 }, absent: { clientFrames: 'keep' } });
  const expected = defaultFaults();
  expected.link.latencyMs = 20;
  expected.absent.clientFrames = 'keep';
  assert.deepEqual(faults, expected);
});

test('the settings in force are not changed in place, and untouched lists stay the same', () => {
  const first = mergeFaults(defaultFaults(), { rules: [{ action: 'drop' }] });
  const second = mergeFaults(first, { link: { latencyMs: 5 } });
  assert.equal(first.link.latencyMs, 0);
  assert.equal(second.rules, first.rules);
});

test('an API failure gets the words and the status of its error code', () => {
  const { failures } = mergeFaults(defaultFaults(), {
    api: {
      failures: [
        { operation: 'ssm:StartSession', code: 'TargetNotConnected', times: 2 },
        { operation: 'ssm:*', code: 'ThrottlingException' },
        { operation: 'ec2:*', code: 'RequestLimitExceeded' },
        { code: 'InternalServerError' },
        { kind: 'hang' },
      ],
    },
  }).api;
  assert.deepEqual(
    failures.map(({ code, status, message }) => [code, status, message]),
    [
      ['TargetNotConnected', 400, '{target} is not connected.'],
      ['ThrottlingException', 400, 'Rate exceeded'],
      ['RequestLimitExceeded', 503, 'Request limit exceeded.'],
      ['InternalServerError', 500, 'An error occurred on the server side.'],
      ['InternalServerError', 500, 'An error occurred on the server side.'],
    ],
  );
});

test('a throttle without burst lets a second’s worth come at once', () => {
  const { throttles } = mergeFaults(defaultFaults(), {
    api: { throttles: { 'ssm:StartSession': { perSecond: 3 } } },
  }).api;
  assert.deepEqual(throttles, { 'ssm:StartSession': { perSecond: 3, burst: 3 } });
});

const refused: readonly { change: unknown; path: RegExp }[] = [
  { change: 'fast', path: /faults must be an object/ },
  { change: { lnk: {} }, path: /faults\.lnk/ },
  { change: { link: { latency: 3 } }, path: /link\.latency/ },
  { change: { link: { latencyMs: -1 } }, path: /link\.latencyMs/ },
  { change: { link: { latencyMs: '5' } }, path: /link\.latencyMs/ },
  { change: { link: { answerPings: 1 } }, path: /link\.answerPings/ },
  { change: { link: { blackhole: 'sideways' } }, path: /link\.blackhole/ },
  { change: { open: { outcomes: [{ kind: 'maybe' }] } }, path: /open\.outcomes\[0\]\.kind/ },
  { change: { open: { outcomes: [{ kind: 'status', status: 200 }] } }, path: /open\.outcomes\[0\]\.status/ },
  { change: { open: { badTokenCloseCode: 1005 } }, path: /open\.badTokenCloseCode/ },
  { change: { api: { failures: [{ operation: 3 }] } }, path: /api\.failures\[0\]\.operation/ },
  { change: { api: { throttles: { x: { perSecond: 0 } } } }, path: /api\.throttles\.x\.perSecond/ },
  { change: { rules: {} }, path: /rules must be a list/ },
  { change: { seed: 1.5 }, path: /seed/ },
];
for (const { change, path } of refused) {
  test(`${JSON.stringify(change)} is refused with its path`, () => {
    assert.throws(
      () => mergeFaults(defaultFaults(), change),
      (error: unknown) => error instanceof ProxyError && error.code === 'USAGE' && path.test(error.message),
    );
  });
}
