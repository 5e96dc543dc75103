/** A whole session through the emulator with its real agent and the SSH server behind it, and its real ends. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DescribeInstancesCommand } from '@aws-sdk/client-ec2';
import {
  DescribeSessionsCommand,
  ResumeSessionCommand,
  StartSessionCommand,
  TerminateSessionCommand,
} from '@aws-sdk/client-ssm';
import { MESSAGE_TYPE } from '../../src/protocol/message.ts';
import { parseChannelClosed } from '../../src/protocol/payloads.ts';
import { startEmulator } from '../../src/emulator/server.ts';
import type { Emulator } from '../../src/emulator/server.ts';
import { ChannelClient, sdkClients } from '../support/emulator-clients.ts';
import { until } from '../support/until.ts';
import type { SdkClients } from '../support/emulator-clients.ts';

let emulator: Emulator;
let sdk: SdkClients;

before(async () => {
  emulator = await startEmulator({ nodes: 2 });
  sdk = sdkClients(emulator);
});
after(async () => {
  sdk.destroy();
  await emulator.close();
});

async function startSession(parameters: Record<string, string[]> = { portNumber: ['22'] }) {
  const found = await sdk.ec2.send(
    new DescribeInstancesCommand({ Filters: [{ Name: 'private-ip-address', Values: ['10.0.1.10'] }] }),
  );
  const instanceId = found.Reservations?.[0]?.Instances?.[0]?.InstanceId;
  const started = await sdk.ssm.send(
    new StartSessionCommand({
      Target: instanceId,
      DocumentName: 'AWS-StartSSHSession',
      Parameters: parameters,
      Reason: 'emulator test',
    }),
  );
  return { sessionId: started.SessionId!, streamUrl: started.StreamUrl!, tokenValue: started.TokenValue! };
}

test('a session brings the SSH banner of the node found by its private address', async () => {
  const started = await startSession();
  const client = new ChannelClient(started.streamUrl, started.tokenValue);
  await client.handshaken();
  const banner = await until('a banner', () => /^SSH-2\.0-\S+/.exec(client.output.toString('latin1'))?.[0]);
  assert.match(banner, /^SSH-2\.0-/);
  const active = await sdk.ssm.send(new DescribeSessionsCommand({ State: 'Active' }));
  const session = active.Sessions?.find((each) => each.SessionId === started.sessionId);
  assert.equal(session?.Status, 'Connected');
  assert.equal(session?.Reason, 'emulator test');
  assert.equal(session?.DocumentName, 'AWS-StartSSHSession');

  await sdk.ssm.send(new TerminateSessionCommand({ SessionId: started.sessionId }));
  const closed = await until('channel_closed', () => client.ofType(MESSAGE_TYPE.CHANNEL_CLOSED)[0]);
  assert.equal(closed.payloadType, undefined);
  assert.deepEqual(parseChannelClosed(closed.payload), { sessionId: started.sessionId, output: '' });
  const history = await sdk.ssm.send(
    new DescribeSessionsCommand({
      State: 'History',
      Filters: [{ key: 'SessionId', value: started.sessionId }],
    }),
  );
  assert.equal(history.Sessions?.[0]?.Status, 'Terminated');
  await assert.rejects(sdk.ssm.send(new ResumeSessionCommand({ SessionId: started.sessionId })), {
    name: 'DoesNotExistException',
  });
  client.destroy();
});
