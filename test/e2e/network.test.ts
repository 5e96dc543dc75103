/** TLS trust and HTTP proxies, for the API calls and for the data channel alike. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import type { ConnectProxy } from '../support/connect-proxy.ts';
import { startConnectProxy } from '../support/connect-proxy.ts';
import { failureOf, statusOf } from '../support/failure.ts';
import { skipWithout } from '../support/programs.ts';
import type { TlsFront } from '../support/tls-front.ts';
import { startTlsFront } from '../support/tls-front.ts';
import { until } from '../support/until.ts';

describe('an endpoint with a certificate of its own', { skip: skipWithout('ssh') }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster({ tls: true, withSshd: false, nodes: 2 });
  });
  after(() => cluster.close());
  afterEach(async () => {
    cluster.reset();
    await cluster.checkNothingLeft();
  });

  test('is TLS_UNTRUSTED where nothing says that it can be trusted', async () => {
    const program = cluster.startCli(['connect', NODE, '--connect-timeout', '10'], {
      keepsInput: true,
      env: { AWS_CA_BUNDLE: '' },
    });
    const result = await program.finished;
    const { code, hint } = failureOf(result);
    assert.deepEqual(
      { code, status: result.status },
      { code: 'TLS_UNTRUSTED', status: statusOf('TLS_UNTRUSTED') },
    );
    assert.match(hint, /AWS_CA_BUNDLE/);
  });

  for (const variable of ['AWS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']) {
    test(`is trusted by ${variable}, for API and data channel`, async () => {
      const env = { AWS_CA_BUNDLE: '', [variable]: cluster.emulator.caFile ?? '' };
      const { status, stdout, stderr } = await cluster.ssh([NODE, 'echo here'], { env });
      assert.deepEqual(
        { status, stdout: stdout.toString(), stderr },
        { status: 0, stdout: 'here\n', stderr: '' },
      );
      assert.match(cluster.emulator.endpoint, /^https:/);
    });
  }

  test('is trusted by ca_bundle of the profile', async () => {
    const file = join(cluster.directory, 'aws-config');
    writeFileSync(file, `[default]\nca_bundle = ${cluster.emulator.caFile}\n`);
    const env = { AWS_CA_BUNDLE: '', AWS_CONFIG_FILE: file };
    const { status, stderr } = await cluster.ssh([NODE, 'true'], { env });
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
  });

  test('a bundle that does not exist is CONFIG_INVALID and named', async () => {
    const program = cluster.startCli(['connect', NODE], {
      keepsInput: true,
      env: { AWS_CA_BUNDLE: '/nonexistent/bundle.pem' },
    });
    const { code, message } = failureOf(await program.finished);
    assert.equal(code, 'CONFIG_INVALID');
    assert.match(message, /\/nonexistent\/bundle\.pem/);
  });
});

describe('an HTTP proxy', { skip: skipWithout('ssh') }, () => {
  const host = 'aws.example.test';
  let cluster: Cluster;
  let front: TlsFront;
  let proxy: ConnectProxy;
  let env: Record<string, string>;

  before(async () => {
    cluster = await startCluster({ withSshd: false, nodes: 2 });
    front = await startTlsFront(host, {
      host: '127.0.0.1',
      port: Number(new URL(cluster.emulator.endpoint).port),
    });
    writeFileSync(join(cluster.directory, 'front.pem'), front.certificate);
  });
  after(async () => {
    front.close();
    await cluster.close();
  });

  async function withProxy(body: () => Promise<void>): Promise<void> {
    proxy = await startConnectProxy(front.address);
    // Nobody resolves this name but the proxy.
    env = {
      AWS_ENDPOINT_URL: `https://${host}`,
      AWS_ENDPOINT_URL_SSMMESSAGES: `https://${host}`,
      AWS_CA_BUNDLE: join(cluster.directory, 'front.pem'),
      HTTPS_PROXY: proxy.url,
    };
    try {
      await body();
      await cluster.checkNothingLeft();
      // The proxy hears of an end a little later than the emulator behind it.
      await until('the proxy has no connections', () => proxy.openSockets === 0);
    } finally {
      await proxy.close();
    }
  }

  test('carries the API calls and the data channel, each by CONNECT', () =>
    withProxy(async () => {
      const { status, stdout, stderr } = await cluster.ssh([NODE, 'echo here'], { env });
      assert.deepEqual(
        { status, stdout: stdout.toString(), stderr },
        { status: 0, stdout: 'here\n', stderr: '' },
      );
      assert.deepEqual(new Set(proxy.asked), new Set([`${host}:443`]));
      // DescribeInstances, StartSession, the WebSocket at least.
      assert.ok(proxy.asked.length >= 3, `${proxy.asked.length} CONNECTs`);
      assert.deepEqual(proxy.others, []);
      assert.equal(cluster.emulator.controls.state().opens.at(-1)?.outcome, 'bound');
    }));

  test('is asked for the data channel alone when NO_PROXY takes the API past it', () =>
    withProxy(async () => {
      const apiEndpoint = cluster.emulator.endpoint.replace('127.0.0.1', 'localhost');
      const { status, stderr } = await cluster.ssh([NODE, 'true'], {
        env: { ...env, AWS_ENDPOINT_URL: apiEndpoint, NO_PROXY: 'localhost' },
      });
      assert.deepEqual({ status, stderr }, { status: 0, stderr: '' });
      assert.deepEqual(proxy.asked, [`${host}:443`]);
    }));

  test('that refuses is ENDPOINT_UNREACHABLE and named', () =>
    withProxy(async () => {
      proxy.refuseWith(407);
      const program = cluster.startCli(['connect', NODE, '--connect-timeout', '3'], {
        keepsInput: true,
        env,
      });
      const result = await program.finished;
      const { code, message } = failureOf(result);
      assert.deepEqual(
        { code, status: result.status },
        { code: 'ENDPOINT_UNREACHABLE', status: statusOf('ENDPOINT_UNREACHABLE') },
      );
      assert.match(message, new RegExp(new URL(proxy.url).host.replaceAll('.', '\\.')));
    }));

  test('leaves nothing when ssh is killed behind it', () =>
    withProxy(async () => {
      const program = cluster.startSsh([NODE, 'echo ready; cat'], { keepsInput: true, env });
      await new Promise((resolve) => program.stdout.once('data', resolve));
      process.kill(program.pid, 'SIGKILL');
      await program.finished;
    }));
});
