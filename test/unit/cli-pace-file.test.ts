/** What the pace `auto` remembers between processes. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { PaceFile } from '../../src/cli/pace-file.ts';
import type { PaceLesson } from '../../src/protocol/pace-search.ts';

const NOW = 1_800_000_000_000;
const DAY_MS = 24 * 3_600_000;
const LESSON: PaceLesson = {
  payloadBytes: 8192,
  messagesPerSecond: 900,
  refusedPayloadBytes: 16_384,
  refusedMessagesPerSecond: Infinity,
  trial: undefined,
};

let home: string;
let file: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'ssm-proxy-pace-'));
  file = join(home, 'ssm-proxy', 'pace', 'lessons.json');
});
afterEach(() => rmSync(home, { recursive: true }));

async function open(wallNow = NOW): Promise<PaceFile> {
  const opened = new PaceFile({ XDG_STATE_HOME: home }, () => wallNow);
  await opened.written();
  return opened;
}

async function learn(lesson: PaceLesson, region = 'eu-west-1', version = '3.3.1.0'): Promise<void> {
  const opened = await open();
  opened.memory(region).learn(version, lesson);
  await opened.written();
}

describe('lessons on disk', () => {
  test('are found again by region and agent version', async () => {
    await learn(LESSON);
    const memory = (await open()).memory('eu-west-1');
    assert.deepEqual(memory.recall('3.3.1.0'), { ...LESSON, learntAt: NOW });
    assert.equal(memory.recall('3.3.2.0'), undefined);
    assert.equal((await open()).memory('us-east-1').recall('3.3.1.0'), undefined);
  });

  test('are known in the same process at once after they are written', async () => {
    const opened = await open();
    opened.memory('r').learn('v', LESSON);
    await opened.written();
    assert.equal(opened.memory('r').recall('v')?.payloadBytes, 8192);
  });

  test('a step under trial is kept', async () => {
    const trial = { payloadBytes: 16_384, messagesPerSecond: 900 };
    await learn({ ...LESSON, refusedPayloadBytes: Infinity, trial });
    assert.deepEqual((await open()).memory('eu-west-1').recall('3.3.1.0')?.trial, trial);
  });

  test('are private to the user', async () => {
    await learn(LESSON);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(file)).mode & 0o777, 0o700);
  });

  test('those of several processes are kept side by side', async () => {
    await learn(LESSON, 'a');
    await learn(LESSON, 'b');
    const opened = await open();
    assert.ok(opened.memory('a').recall('3.3.1.0'));
    assert.ok(opened.memory('b').recall('3.3.1.0'));
  });

  test('are forgotten after a week, and when they come from the future', async () => {
    await learn(LESSON);
    assert.ok((await open(NOW + 6 * DAY_MS)).memory('eu-west-1').recall('3.3.1.0'));
    assert.equal((await open(NOW + 8 * DAY_MS)).memory('eu-west-1').recall('3.3.1.0'), undefined);
    assert.equal((await open(NOW - DAY_MS)).memory('eu-west-1').recall('3.3.1.0'), undefined);
  });

  test('no more than 64 are kept, the newest', async () => {
    const opened = await open();
    for (let i = 0; i < 70; i += 1) opened.memory(`region-${i}`).learn('v', LESSON);
    await opened.written();
    assert.equal(readFileSync(file, 'utf8').match(/region-/g)?.length, 64);
    assert.ok((await open()).memory('region-69').recall('v'));
  });

  const odd: readonly [string, string][] = [
    ['no JSON', '{'],
    ['another format', '{"format":2,"lessons":{}}'],
    ['a list', '[]'],
    ['no lessons', '{"format":1}'],
    ...(
      [
        ['a payload below the safe one', { payloadBytes: 1 }],
        ['a payload above the largest', { payloadBytes: 1e6 }],
        ['a rate that is no number', { messagesPerSecond: '900' }],
        ['a fraction', { payloadBytes: 1024.5 }],
        ['a refusal of the safe payload', { refusedPayloadBytes: 1024 }],
        ['a broken trial', { trial: 5 }],
        ['no time', { learntAt: undefined }],
      ] as const
    ).map(([what, change]): [string, string] => {
      const lesson = { ...LESSON, refusedMessagesPerSecond: null, learntAt: NOW, ...change };
      return [what, JSON.stringify({ format: 1, lessons: { 'eu-west-1 3.3.1.0': lesson } })];
    }),
  ];
  for (const [what, text] of odd) {
    test(`a file with ${what} is forgotten, and replaced by the next lesson`, async () => {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      writeFileSync(file, text, { mode: 0o600 });
      assert.equal((await open()).memory('eu-west-1').recall('3.3.1.0'), undefined);
      await learn(LESSON);
      assert.ok((await open()).memory('eu-west-1').recall('3.3.1.0'));
    });
  }

  test('a state directory that cannot be used changes nothing else', async () => {
    const blocked = join(home, 'file');
    writeFileSync(blocked, '');
    chmodSync(blocked, 0o600);
    const opened = new PaceFile({ XDG_STATE_HOME: join(blocked, 'below') }, () => NOW);
    opened.memory('r').learn('v', LESSON);
    await opened.written();
    assert.equal(readFileSync(blocked, 'utf8'), '');
    const later = new PaceFile({ XDG_STATE_HOME: join(blocked, 'below') }, () => NOW);
    await later.written();
    assert.equal(later.memory('r').recall('v'), undefined);
  });
});
