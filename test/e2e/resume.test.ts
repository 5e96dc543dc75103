/**
 * Transfers that outlive their WebSocket, through one ssh connection each, with ssh's own signs of life switched on:
 * real ssh, the built program, a real sshd. `npm run reliability` does the same with ten times the bytes and cuts.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { FAR_ENDS, startCluster } from '../support/cluster.ts';
import type { Transfer, TransferResult } from '../support/long-transfer.ts';
import { IN_FLIGHT_LOST, PAUSED_IN_TIME, cuts, transfer } from '../support/long-transfer.ts';

const [SSHD] = FAR_ENDS;
const TIME_LIMIT_MS = 240_000;

describe('one ssh connection', { skip: SSHD === undefined ? 'no far end' : SSHD.skip }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster.close());
  afterEach(async () => {
    cluster.reset();
    await cluster.checkNothingLeft();
  });

  async function run(wanted: Omit<Transfer, 'host' | 'timeLimitMs'>): Promise<TransferResult> {
    const host = SSHD?.host ?? '';
    const result = await transfer(cluster, { ...wanted, host, timeLimitMs: TIME_LIMIT_MS });
    const { isExact, status, stderr } = result;
    assert.deepEqual({ isExact, status, stderr }, { isExact: true, status: 0, stderr: '' });
    return result;
  }

  test('carries 20 MB up through 5 cuts', async () => {
    const { resumes } = await run({
      direction: 'up',
      megabytes: 20,
      paceMs: 1,
      faults: cuts('up', 20, 5),
    });
    assert.equal(resumes, 5);
  });

  for (const [way, service] of [
    ['when the agent is paused in time', PAUSED_IN_TIME],
    ['when what is in flight is lost', IN_FLIGHT_LOST],
  ] as const) {
    test(`carries 8 MB down through 3 cuts ${way}`, async () => {
      const { resumes } = await run({
        direction: 'down',
        megabytes: 8,
        paceMs: 1,
        faults: { ...service, ...cuts('down', 8, 3) },
      });
      assert.equal(resumes, 3);
    });
  }

  test('renews its WebSocket under load while 40 MB come down, and loses nothing', async () => {
    const { resumes, renewals } = await run({
      direction: 'down',
      megabytes: 40,
      paceMs: 0,
      faults: { link: { bytesPerSecondToClient: 6_000_000 } },
      connectArguments: '--renew-after 2s',
    });
    assert.ok(renewals > 0, 'it was renewed');
    assert.equal(resumes, renewals, 'no link was lost');
  });
});
