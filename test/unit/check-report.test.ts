/** The report of `check` on screens of several widths, with and without colour. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failed, ok, skipped, warning } from '../../src/check/finding.ts';
import { addressKind } from '../../src/check/network-reach.ts';
import { brief, inTime, lasting } from '../../src/times-in-words.ts';
import { areaText, summary } from '../../src/cli/check-report.ts';

const FINDINGS = [
  ok('a', 'Instance', 'i-0123456789abcdef0 head 10.0.1.10 us-east-1, running, launched 3 days ago'),
  warning(
    'b',
    'SSM agent',
    'seen\u001b[2J once',
    'restart it: systemctl restart amazon-ssm-agent, and look at its way to the SSM endpoints',
  ),
  failed('c', 'Rolle für Knoten', 'no', undefined),
  skipped('d', 'Session', 'not tried'),
];

test('at 80 columns texts are folded below where they begin', () => {
  assert.equal(
    areaText('Node', FINDINGS, { columns: 80, hasColour: false }),
    `Node
  ok       Instance          i-0123456789abcdef0 head 10.0.1.10 us-east-1,
                             running, launched 3 days ago
  warning  SSM agent         seen?[2J once
           -> restart it: systemctl restart amazon-ssm-agent, and look at its
              way to the SSM endpoints
  failed   Rolle für Knoten  no
  skipped  Session           not tried
`,
  );
});

test('at 200 columns, in a pipe, and where folding would leave syllables, nothing is folded', () => {
  const expected = `Node
  ok       Instance          i-0123456789abcdef0 head 10.0.1.10 us-east-1, running, launched 3 days ago
  warning  SSM agent         seen?[2J once
           -> restart it: systemctl restart amazon-ssm-agent, and look at its way to the SSM endpoints
  failed   Rolle für Knoten  no
  skipped  Session           not tried
`;
  assert.equal(areaText('Node', FINDINGS, { columns: 200, hasColour: false }), expected);
  assert.equal(areaText('Node', FINDINGS, { columns: undefined, hasColour: false }), expected);
  assert.equal(areaText('Node', FINDINGS, { columns: 40, hasColour: false }), expected);
});

test('a word that is wider than the screen stands on a line of its own', () => {
  const arn = 'x'.repeat(90);
  const text = areaText('A', [ok('a', 'b', `before ${arn} after`)], { columns: 80, hasColour: false });
  assert.deepEqual(
    text.split('\n').map((line) => line.trim()),
    ['A', 'ok       b               before', arn, 'after', ''],
  );
});

test('colour marks the level and nothing else', () => {
  const text = areaText('Node', FINDINGS, { columns: undefined, hasColour: true });
  assert.match(text, /^ {2}\u001b\[32mok {5}\u001b\[0m {2}Instance/m);
  assert.match(text, /^ {2}\u001b\[31mfailed \u001b\[0m {2}Rolle/m);
  assert.equal(text.match(/\u001b/g)?.length, 8);
});

test('the summary counts, worst first', () => {
  const style = { columns: undefined, hasColour: false };
  assert.equal(summary(FINDINGS, style), 'Something failed: 1 failed, 1 warning, 1 skipped, 1 ok.\n');
  const [fine, odd] = FINDINGS;
  assert.ok(fine !== undefined && odd !== undefined);
  assert.equal(summary([fine, odd, odd], style), 'Nothing failed: 2 warnings, 1 ok.\n');
});

test('times are said as people say them', () => {
  assert.deepEqual([1_000, 59_999, 60_000, 7_200_000, 3 * 86_400_000].map(lasting), [
    '1 second',
    '59 seconds',
    '1 minute',
    '2 hours',
    '3 days',
  ]);
  assert.equal(inTime(61_000), 'in 1 minute');
  assert.equal(inTime(-3_600_000), '1 hour ago');
  assert.deepEqual([0.4, 999, 1_000, 12_345].map(brief), ['0 ms', '999 ms', '1.0 s', '12.3 s']);
});

test('addresses tell whether an endpoint is in the VPC', () => {
  for (const [address, kind] of [
    ['10.0.3.4', 'private: a VPC endpoint'],
    ['172.31.255.1', 'private: a VPC endpoint'],
    ['172.32.0.1', 'public'],
    ['fd00:ec2::1', 'private: a VPC endpoint'],
    ['2600:1f14::1', 'public'],
    ['52.1.2.3', 'public'],
    ['127.0.0.1', 'this machine'],
    ['::1', 'this machine'],
  ] as const) {
    assert.equal(addressKind([address]), kind, address);
  }
});
