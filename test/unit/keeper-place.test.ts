/** Who starts the keeper, and where it is found. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { KeeperPlace, START_LIMIT_MS } from '../../src/keeper/place.ts';

let directory = '';
beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'keeper-place-'))));
afterEach(() => rmSync(directory, { recursive: true }));

const place = (): KeeperPlace => new KeeperPlace(directory);

test('of all who find no keeper one starts it', () => {
  const claims = Array.from({ length: 50 }, (_, pid) => place().claimStart(pid + 1, 1_000));
  assert.deepEqual(
    claims.filter((isMine) => isMine),
    [true],
  );
  assert.deepEqual(place().find(1_000), { kind: 'starting', sinceMs: 1_000, pid: 1 });
});

test('a start that came to nothing can be claimed again, at once or after its time', () => {
  place().claimStart(1, 1_000);
  place().giveUpStart(2, 1_000);
  assert.equal(place().claimStart(3, 1_000), false, 'another process cannot give it up');
  place().giveUpStart(1, 1_000);
  assert.equal(place().claimStart(3, 1_000), true);
  assert.equal(place().claimStart(4, 1_000 + START_LIMIT_MS - 1), false);
  assert.equal(place().claimStart(4, 1_000 + START_LIMIT_MS), true);
});

test('a clock that was set back does not keep a start claimed for ever', () => {
  place().claimStart(1, 1_000_000);
  assert.equal(place().claimStart(2, 1_000), true);
});

test('a keeper is found until it leaves, and only it can leave', () => {
  place().claimStart(1, 1_000);
  assert.equal(place().claim('k-a', 1, 77, 1_500), true);
  assert.deepEqual(place().find(9_000_000), { kind: 'up', protocol: 1, pid: 77, socket: 'k-a' });
  assert.equal(place().claim('k-b', 1, 78, 1_500), false);
  place().leave('k-b', 1_500);
  assert.equal(place().find(1_500).kind, 'up');
  place().leave('k-a', 1_500);
  assert.equal(place().find(1_500).kind, 'none');
});

test('a keeper that is known to be dead is replaced by one of those who know', () => {
  place().claim('k-dead', 1, 77, 1_000);
  assert.equal(place().claimStart(2, 1_000, 'k-other'), false);
  assert.equal(place().claimStart(2, 1_000, 'k-dead'), true);
  assert.equal(place().claimStart(3, 1_000, 'k-dead'), false);
  assert.equal(place().claim('k-new', 1, 78, 1_000), true);
  assert.equal(place().claim('k-late', 1, 79, 1_000, 'k-dead'), false);
});

test('a place that is not a name in the directory is none', () => {
  place().claim('../k', 1, 77, 1_000);
  assert.equal(place().find(1_000).kind, 'none');
});
