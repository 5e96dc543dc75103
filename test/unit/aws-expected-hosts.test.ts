/** Where a connection is expected to go, before the SDK is there to say so; and that the SDK says the same. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EC2Client } from '@aws-sdk/client-ec2';
import { SSMClient } from '@aws-sdk/client-ssm';
import type { EndpointService } from '../../src/aws/endpoints.ts';
import { expectedApi, expectedChannel } from '../../src/aws/expected-hosts.ts';
import type { Places } from '../../src/aws/expected-hosts.ts';

function places(
  region: string,
  endpoints: Partial<Record<EndpointService, string>> = {},
  hasSpecialEndpoints = false,
): Places {
  return { region, hasSpecialEndpoints, endpoint: (service) => endpoints[service] };
}

async function sdkHost(client: EC2Client | SSMClient): Promise<string | undefined> {
  const resolve = client.config.endpointProvider;
  const { region } = client.config;
  return resolve({ Region: await region(), UseFIPS: false, UseDualStack: false }).url.origin;
}

for (const region of [
  'us-east-1',
  'eu-central-2',
  'ap-southeast-5',
  'us-gov-west-1',
  'cn-north-1',
  'mx-central-1',
]) {
  test(`${region}: the hosts are those of the SDK`, async () => {
    const config = { region, credentials: { accessKeyId: 'a', secretAccessKey: 's' } };
    assert.equal(expectedApi(places(region), 'EC2'), await sdkHost(new EC2Client(config)));
    const ssm = await sdkHost(new SSMClient(config));
    assert.equal(expectedApi(places(region), 'SSM'), ssm);
    assert.equal(expectedChannel(places(region)), ssm?.replace('//ssm.', '//ssmmessages.'));
  });
}

test('regions of other partitions are left to the SDK', () => {
  for (const region of ['us-iso-east-1', 'us-isob-east-1', 'eu-isoe-west-1', 'eusc-de-east-1', 'x']) {
    assert.equal(expectedApi(places(region), 'SSM'), undefined, region);
    assert.equal(expectedChannel(places(region)), undefined, region);
  }
});

test('FIPS and dual-stack endpoints are left to the SDK, configured ones count', () => {
  assert.equal(expectedApi(places('us-east-1', {}, true), 'EC2'), undefined);
  assert.equal(expectedChannel(places('us-east-1', {}, true)), undefined);
  const own = 'https://vpce-1.ssm.us-east-1.vpce.amazonaws.com';
  assert.equal(expectedApi(places('us-east-1', { SSM: own }, true), 'SSM'), own);
});

test('the channel is the region’s behind a VPC endpoint, the same host on this machine, or what is configured', () => {
  const vpc = places('us-east-1', { SSM: 'https://vpce-1.ssm.us-east-1.vpce.amazonaws.com' });
  assert.equal(expectedChannel(vpc), 'https://ssmmessages.us-east-1.amazonaws.com');
  const local = 'https://127.0.0.1:8443';
  assert.equal(expectedChannel(places('us-east-1', { SSM: local })), local);
  const configured = 'https://messages.example';
  assert.equal(expectedChannel(places('us-east-1', { SSM: local, SSMMESSAGES: configured })), configured);
});
