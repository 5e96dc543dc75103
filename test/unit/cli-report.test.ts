import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatError } from '../../src/cli/report.ts';
import { ERROR_TABLE, ProxyError, asProxyError } from '../../src/errors.ts';
import type { ErrorCode } from '../../src/errors.ts';

test('an error is one line with its code, and a line with what to do', () => {
  const error = new ProxyError('TARGET_STOPPED', 'instance i-1 is stopped', { hint: 'start it' });
  assert.equal(
    formatError(error, false),
    'ssm-proxy: instance i-1 is stopped [TARGET_STOPPED]\nssm-proxy: start it\n',
  );
});

test('a message of several lines becomes one, a hint keeps its lines', () => {
  const error = new ProxyError('USAGE', 'one\n  two', { hint: 'a\nb' });
  assert.equal(formatError(error, false), 'ssm-proxy: one two [USAGE]\nssm-proxy: a\nssm-proxy: b\n');
});

test('no line of any error starts with "ssh:", whatever its parts say', () => {
  const codes = Object.keys(ERROR_TABLE) as ErrorCode[];
  for (const code of codes) {
    const error = new ProxyError(code, 'ssh: connect to host\nssh: timed out', {
      hint: 'ssh: a\r\nssh: b',
      cause: new Error('ssh: c\nssh: d'),
    });
    for (const line of formatError(error, true).trimEnd().split('\n')) assert.match(line, /^ssm-proxy: /);
  }
});

test('control characters do not reach the terminal', () => {
  const error = new ProxyError('TARGET_NOT_FOUND', 'name \u001b[2J\u0007\u202e', { hint: 'x\u009by' });
  assert.equal(formatError(error, false), 'ssm-proxy: name ?[2J?? [TARGET_NOT_FOUND]\nssm-proxy: x?y\n');
});

test('a bug shows its stack and its cause only when asked', () => {
  const error = asProxyError(new RangeError('off by one'));
  assert.doesNotMatch(formatError(error, false), /at .*report\.test/);
  assert.match(formatError(error, true), /caused by RangeError: off by one\nssm-proxy: +at /);
});

test('causes that form a ring end', () => {
  const inner = new Error('inner');
  const error = new ProxyError('INTERNAL', 'outer', { cause: inner });
  inner.cause = error;
  assert.ok(formatError(error, true).length > 0);
});
