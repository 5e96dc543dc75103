/** `--start-instance`: a stopped node is started, and reached when it is up. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { failureOf } from '../support/failure.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
let id: string;

before(async () => {
  cluster = await startCluster({ nodes: 2, withSshd: false });
  id = cluster.instanceId(NODE);
});
after(() => cluster.close());
beforeEach(() => {
  cluster.emulator.controls.changeInstance(id, { state: 'stopped', agentOnline: false });
  // A boot of 25 s in a quarter of a second.
  cluster.emulator.controls.setClock({ speed: 100 });
});
afterEach(async () => {
  const { controls } = cluster.emulator;
  controls.setClock({ speed: 1 });
  controls.changeIdentity(cluster.emulator.credentials.accessKeyId, { denied: [] });
  cluster.reset();
  await cluster.checkNothingLeft();
});

const starts = (): number => cluster.emulator.controls.state().calls['ec2:StartInstances']?.calls ?? 0;

for (const by of ['address', 'instance ID']) {
  test(`connect starts a stopped instance, given by ${by}, and ssh logs in`, async () => {
    const target = by === 'address' ? NODE : id;
    const before = starts();
    const { status, stdout, stderr } = await cluster.ssh([target, 'echo up'], {
      env: { SSM_PROXY_START_INSTANCE: '1' },
    });
    assert.deepEqual([status, stdout.toString(), stderr], [0, 'up\n', '']);
    assert.equal(starts() - before, 1);
  });
}

test('without the option it is an error, and nothing is started', async () => {
  const before = starts();
  const { code } = failureOf(await cluster.cli(['connect', NODE]));
  assert.deepEqual([code, starts()], ['TARGET_STOPPED', before]);
});

test('one that is stopping is waited for, then started', async () => {
  const { controls } = cluster.emulator;
  controls.changeInstance(id, { state: 'stopping' });
  const before = starts();
  const program = cluster.startCli(['connect', NODE, '--start-instance']);
  await until('it was tried', () => starts() > before);
  controls.changeInstance(id, { state: 'stopped' });
  const { status, stdout } = await program.finished;
  assert.equal(status, 0);
  assert.match(stdout.toString('latin1'), /^SSH-2\.0-/);
});

test('a time limit for connecting does not cut a start short, the time given for it does', async () => {
  const { controls } = cluster.emulator;
  const args = ['connect', NODE, '--connect-timeout', '1s'];
  controls.setClock({ speed: 10 });
  assert.equal((await cluster.cli([...args, '--start-instance'])).status, 0);
  controls.changeInstance(id, { state: 'stopped', agentOnline: false });
  controls.setClock({ speed: 0.1 });
  const { code, message, hint } = failureOf(await cluster.cli([...args, '--start-instance=1500ms']));
  assert.equal(code, 'CONNECT_TIMEOUT');
  assert.match(message, /waiting for i-\w+ to run/);
  assert.match(hint, /raise --start-instance/);
});

test('the ConnectTimeout of ssh holds all the same', async () => {
  cluster.emulator.controls.setClock({ speed: 0.1 });
  const args = ['-o', 'ConnectTimeout=3', NODE, 'true'];
  const { status, stderr } = await cluster.ssh(args, { env: { SSM_PROXY_START_INSTANCE: '10m' } });
  assert.equal(status, 255);
  assert.match(
    stderr,
    /no connection to 10\.0\.1\.11 within 2(\.\d)? s \(waiting for i-\w+ to run\)|raise ConnectTimeout of ssh/,
  );
});

test('without the permission, and for an instance that is gone', async () => {
  const { controls, credentials } = cluster.emulator;
  controls.changeIdentity(credentials.accessKeyId, { denied: ['ec2:StartInstances'] });
  const denied = failureOf(await cluster.cli(['connect', NODE, '--start-instance']));
  assert.equal(denied.code, 'ACCESS_DENIED');
  assert.match(denied.hint, /ec2:StartInstances/);
  controls.changeInstance(id, { state: 'terminated' });
  const gone = failureOf(await cluster.cli(['connect', id, '--start-instance']));
  assert.equal(gone.code, 'TARGET_TERMINATED');
});

test('wait starts it, too', async () => {
  const { status, stdout } = await cluster.cli(['wait', NODE, '--start-instance']);
  assert.equal(status, 0);
  assert.match(stdout.toString(), /is ready: port 22 says SSH-2\.0-/);
});
