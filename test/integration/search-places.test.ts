/** A target is searched for in several regions and profiles at once, and in the account that is meant. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { asProxyError } from '../../src/errors.ts';
import type { ProxyError } from '../../src/errors.ts';
import { findTarget } from '../../src/find-target.ts';
import type { TargetRequest } from '../../src/find-target.ts';
import { LookupFiles } from '../../src/gate/lookup-files.ts';
import { silentLog } from '../../src/log.ts';
import { SharedLookup } from '../../src/opening/shared-lookup.ts';
import { StartQueue } from '../../src/opening/start-queue.ts';
import { TimeBudget } from '../../src/opening/time-budget.ts';
import { createAwsHome, replaceProcessEnv } from '../support/aws-home.ts';
import type { AwsHome } from '../support/aws-home.ts';

const FAR = '10.0.7.7';
const ACCOUNT = '111122223333';

let near: Emulator;
/** Stands for another account: another profile leads there. */
let other: Emulator;
let home: AwsHome;
let runtime: string;
let restore: () => void;
let farId: string;

before(async () => {
  [near, other] = await Promise.all([startEmulator({ nodes: 1 }), startEmulator({ nodes: 1 })]);
  farId = (await near.controls.addInstance({ privateIp: FAR, region: 'eu-west-1' })).instanceId;
  const profile = (name: string, emulator: Emulator): string =>
    [
      `[profile ${name}]`,
      `region = ${emulator.region}`,
      `endpoint_url = ${emulator.endpoint}`,
      `aws_access_key_id = ${emulator.credentials.accessKeyId}`,
      `aws_secret_access_key = ${emulator.credentials.secretAccessKey}`,
      '',
    ].join('\n');
  home = createAwsHome({
    config: [profile('near', near), profile('again', near), profile('other', other)].join('\n'),
  });
  runtime = mkdtempSync(join(tmpdir(), 'ssm-proxy-places-'));
  restore = replaceProcessEnv(home.env);
});
after(async () => {
  restore();
  home[Symbol.dispose]();
  rmSync(runtime, { recursive: true });
  await Promise.all([near.close(), other.close()]);
});

beforeEach(() => {
  near.controls.resetFaults();
  for (const { accessKeyId } of near.controls.state().identities) {
    near.controls.changeIdentity(accessKeyId, { denied: [] });
  }
});

interface Found {
  readonly instanceId: string;
  readonly region: string;
  readonly profile: string | undefined;
}

async function find(changes: Partial<TargetRequest>, shares = false): Promise<Found> {
  const budget = new TimeBudget(
    systemClock,
    { limitMs: 20_000, name: undefined, elasticMs: 0 },
    new AbortController().signal,
  );
  const enter = (): void => {};
  const queue = new StartQueue({
    ...{ directory: undefined, startsPerSecond: 0, queueTimeoutMs: undefined },
    ...{ budget, clock: systemClock, log: silentLog, enter },
  });
  const parts = { files: new LookupFiles(runtime), clock: systemClock, log: silentLog, queue };
  try {
    const { context, instanceId } = await findTarget(
      {
        ...{
          target: FAR,
          regions: undefined,
          profile: 'near',
          role: undefined,
          account: undefined,
          endpointUrl: undefined,
        },
        ...{ ssmmessagesEndpoint: undefined, vpc: undefined, tags: {} },
        ...changes,
      },
      { env: home.env, clock: systemClock, log: silentLog },
      enter,
      budget,
      { queue, lookup: shares ? new SharedLookup(parts) : undefined, takesStopped: false },
    );
    context.close();
    return { instanceId, region: context.region, profile: context.profile };
  } finally {
    budget.close();
    queue.leave();
  }
}

async function failure(changes: Partial<TargetRequest>): Promise<ProxyError> {
  return find(changes).then(
    ({ instanceId }) => assert.fail(`it found ${instanceId}`),
    (error: unknown) => asProxyError(error),
  );
}

function describeCalls(): number {
  return near.controls.state().calls['ec2:DescribeInstances']?.calls ?? 0;
}

test('several regions are searched, and the session goes to the one that has it', async () => {
  const found = await find({ regions: ['us-east-1', 'eu-west-1'] });
  assert.deepEqual(found, { instanceId: farId, region: 'eu-west-1', profile: 'near' });
});

test('all means the regions that the account has', async () => {
  assert.deepEqual(await find({ regions: ['all'] }), {
    instanceId: farId,
    region: 'eu-west-1',
    profile: 'near',
  });
});

test('all needs no region to be configured', async () => {
  const { region } = await find({ regions: ['all'], profile: 'near,other' });
  assert.equal(region, 'eu-west-1');
});

test('a second search for the same target asks nobody', async () => {
  await find({ regions: ['all'] }, true);
  const before = near.controls.state().calls;
  assert.equal((await find({ regions: ['all'] }, true)).instanceId, farId);
  assert.deepEqual(near.controls.state().calls, before);
});

test('without the right to list regions, all fails and says so', async () => {
  for (const { accessKeyId } of near.controls.state().identities) {
    near.controls.changeIdentity(accessKeyId, { denied: ['ec2:DescribeRegions'] });
  }
  const error = await failure({ regions: ['all'] });
  assert.equal(error.code, 'ACCESS_DENIED');
  assert.match(error.message, /DescribeRegions/);
});

test('two profiles are searched, in the order given', async () => {
  const target = other.instances[0]?.instanceId ?? '';
  assert.deepEqual(await find({ target, profile: 'near, other' }), {
    instanceId: target,
    region: 'us-east-1',
    profile: 'other',
  });
});

test('an instance that two profiles see is one', async () => {
  const target = near.instances[0]?.privateIp ?? '';
  assert.equal((await find({ target, profile: 'again,near' })).profile, 'again');
});

test('an address that two accounts have is listed with its profiles', async () => {
  const target = near.instances[0]?.privateIp ?? '';
  const error = await failure({ target, profile: 'near,other' });
  assert.equal(error.code, 'TARGET_AMBIGUOUS');
  assert.match(error.hint ?? '', /^choose with --profile, /);
  assert.match(error.hint ?? '', / us-east-1 profile near /);
  assert.match(error.hint ?? '', / us-east-1 profile other /);
});

test('a profile that does not exist fails the search', async () => {
  assert.equal((await failure({ profile: 'near,gone' })).code, 'PROFILE_NOT_FOUND');
});

test('the expected account lets the search pass, another one ends it', async () => {
  assert.equal((await find({ regions: ['eu-west-1'], account: ACCOUNT })).instanceId, farId);
  const error = await failure({ regions: ['eu-west-1'], account: '999999999999' });
  assert.deepEqual(
    [error.code, error.message],
    ['ACCOUNT_MISMATCH', `profile near belongs to account ${ACCOUNT}, not to 999999999999`],
  );
});

test('the account is checked for an instance ID too, which needs no search', async () => {
  const before = describeCalls();
  const error = await failure({ target: 'i-0123456789abcdef0', account: '999999999999' });
  assert.equal(error.code, 'ACCOUNT_MISMATCH');
  assert.equal(describeCalls(), before);
});
