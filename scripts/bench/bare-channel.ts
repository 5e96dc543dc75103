/**
 * The bare data channel, to compare with: a session that the SDK starts and a WebSocket whose messages are acknowledged
 * one by one. None of our state machines is in it; only the codec of messages is ours.
 */
import { StartSessionCommand } from '@aws-sdk/client-ssm';
import { readFileSync } from 'node:fs';
import { decodeMessage, MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import { ChannelClient, sdkClients } from '../../test/support/emulator-clients.ts';
import { until } from '../../test/support/until.ts';
import type { Cloud } from './cloud.ts';

export interface BareChannel {
  /** Called with each payload of the far end. */
  onData: (payload: Buffer) => void;
  write(data: string): void;
  close(): void;
}

/** Without a document: the account's shell. Port 22 where the document asks for one. */
export async function openBareChannel(
  { facts }: Cloud,
  instanceId: string,
  document?: string,
): Promise<BareChannel> {
  // Its warning about this version of Node is not for the table.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] = 'true';
  const clients = sdkClients(facts);
  const { StreamUrl = '', TokenValue = '' } = await clients.ssm.send(
    new StartSessionCommand({
      Target: instanceId,
      ...(document !== undefined && { DocumentName: document, Parameters: { portNumber: ['22'] } }),
    }),
  );
  clients.destroy();
  const ca = facts.caFile === null ? undefined : readFileSync(facts.caFile);
  const client = new ChannelClient(StreamUrl, TokenValue, { ...(ca !== undefined && { ca }) });
  const channel: BareChannel = {
    onData: () => {},
    write: (data) => void client.input(data),
    close: () => client.destroy(),
  };
  // A shell begins without a handshake.
  if (document !== undefined) await client.handshaken();
  else await until('the prompt', () => client.output.length > 0);
  client.webSocket.on('message', (data: Buffer) => {
    // It keeps what it gets, for tests.
    client.messages.length = 0;
    client.raw.length = 0;
    const { messageType, payloadType, payload } = decodeMessage(data);
    const isOutput = messageType === MESSAGE_TYPE.OUTPUT_STREAM_DATA && payloadType === PAYLOAD_TYPE.OUTPUT;
    if (isOutput) channel.onData(payload);
  });
  return channel;
}
