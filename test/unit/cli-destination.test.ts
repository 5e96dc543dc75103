import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDestination } from '../../src/cli/destination.ts';

const accepted: readonly (readonly [
  target: string,
  port: string | undefined,
  expected: string,
  port: number,
])[] = [
  ['10.0.1.10', undefined, '10.0.1.10', 22],
  ['10.0.1.10', '2222', '10.0.1.10', 2222],
  ['10.0.1.10:2222', undefined, '10.0.1.10', 2222],
  ['10.0.1.10:1', undefined, '10.0.1.10', 1],
  ['10.0.1.10:65535', undefined, '10.0.1.10', 65_535],
  ['i-0123456789abcdef0:22', undefined, 'i-0123456789abcdef0', 22],
  ['fd00::1', undefined, 'fd00::1', 22],
  ['fd00::22', undefined, 'fd00::22', 22],
  ['fe80::1%eth0', undefined, 'fe80::1%eth0', 22],
  ['::1', '443', '::1', 443],
  ['[fd00::1]', undefined, 'fd00::1', 22],
  ['[fd00::1]:8080', undefined, 'fd00::1', 8080],
  ['[fd00::1]', '8080', 'fd00::1', 8080],
  ['web:blue', undefined, 'web:blue', 22],
  ['web:1', '22', 'web:1', 22],
  ['web:blue:80', undefined, 'web:blue', 80],
];

for (const [target, port, expected, expectedPort] of accepted) {
  test(`${target} ${port ?? ''} is port ${expectedPort} of ${expected}`, () => {
    assert.deepEqual(parseDestination(target, port), { target: expected, port: expectedPort });
  });
}

const refused: readonly (readonly [target: string, port: string | undefined])[] = [
  ['', undefined],
  ['  ', '22'],
  ['[]', undefined],
  [':22', undefined],
  ['host:', undefined],
  ['host:0', undefined],
  ['host:65536', undefined],
  ['host:022', undefined],
  ['[fd00::1]:', undefined],
  ['[fd00::1]:ssh', undefined],
  ['host', ''],
  ['host', '0'],
  ['host', '-1'],
  ['host', '+22'],
  ['host', '22.0'],
  ['host', '0x16'],
  ['host', '1e3'],
  ['host', '65536'],
  ['host', '99999999999999999999'],
  ['host', 'ssh'],
  ['host', ' 22'],
];

for (const [target, port] of refused) {
  test(`${JSON.stringify(target)} ${JSON.stringify(port) ?? ''} is refused as a usage error`, () => {
    assert.throws(() => parseDestination(target, port), { code: 'USAGE', exitStatus: 2 });
  });
}
