/**
 * KMS-encrypted sessions (protocol.md section 10, lines 21 and 22). The far end is played with node:crypto alone, so
 * that our cipher cannot agree with itself on a mistake.
 */
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { describe, test } from 'node:test';
import { PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import { ChannelBench } from '../support/channel-bench.ts';
import {
  acknowledgeMessage,
  handshakeComplete,
  handshakeRequest,
  outputMessage,
} from '../support/fake-agent.ts';

const DATA_KEY = Buffer.from(Array.from({ length: 64 }, (_, i) => i));
const AGENT_KEY = DATA_KEY.subarray(0, 32);
const CLIENT_KEY = DATA_KEY.subarray(32);
const KMS_KEY_ID = 'arn:aws:kms:us-east-1:111122223333:key/k';
const CIPHERTEXT = Buffer.from('wrapped');

function agentSeals(plaintext: Buffer, nonce: Buffer = Buffer.alloc(12, 9)): Buffer {
  const cipher = createCipheriv('aes-256-gcm', AGENT_KEY, nonce);
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function agentOpens(sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', CLIENT_KEY, sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}

function requestBytes(challenge: string | undefined): Buffer {
  const parameters =
    challenge === undefined ? { KMSKeyId: KMS_KEY_ID } : { KMSKeyId: KMS_KEY_ID, Challenge: challenge };
  const request = handshakeRequest({
    sessionType: 'Standard_Stream',
    properties: null,
    extraActions: [{ ActionType: 'KMSEncryption', ActionParameters: parameters }],
  });
  return outputMessage(0, request, PAYLOAD_TYPE.HANDSHAKE_REQUEST);
}

function begin(challenge: string | undefined): ChannelBench {
  const bench = new ChannelBench();
  bench.run((channel, now) => channel.linkUp(now));
  bench.receive(requestBytes(challenge));
  return bench;
}

function answerKey(bench: ChannelBench): void {
  bench.run((channel, now) => channel.dataKey({ key: { plaintext: DATA_KEY, ciphertext: CIPHERTEXT } }, now));
}

interface KmsResult {
  readonly KMSCipherTextKey: string;
  readonly ChallengeAcknowledgement?: boolean;
}

function kmsResult(bench: ChannelBench): KmsResult {
  const [message] = bench.received.stream;
  assert.ok(message);
  const response = JSON.parse(message.payload.toString()) as {
    ProcessedClientActions: { ActionResult: KmsResult }[];
  };
  const result = response.ProcessedClientActions[1]?.ActionResult;
  assert.ok(result);
  return result;
}

describe('encrypted channel', () => {
  test('line 21: the data key is asked for with 64 bytes and the session, target and challenge as context', () => {
    const bench = begin('Y2hhbGxlbmdl');
    assert.deepEqual(
      bench.actions.find(({ kind }) => kind === 'dataKeyWanted'),
      {
        kind: 'dataKeyWanted',
        request: {
          kmsKeyId: KMS_KEY_ID,
          numberOfBytes: 64,
          encryptionContext: {
            'aws:ssm:SessionId': 'user-0123',
            'aws:ssm:TargetId': 'i-0123456789abcdef0',
            'aws:ssm:RandomChallenge': 'Y2hhbGxlbmdl',
          },
        },
      },
    );
    assert.deepEqual(bench.received.sequenceNumbers, [], 'no response before there is a key');
  });

  test('line 22: the challenge is acknowledged only when it is in the context', () => {
    for (const [challenge, acknowledged] of [
      ['Y2hhbGxlbmdl', true],
      [undefined, undefined],
    ] as const) {
      const bench = begin(challenge);
      answerKey(bench);
      const result = kmsResult(bench);
      assert.equal(result.ChallengeAcknowledgement, acknowledged);
      assert.equal(result.KMSCipherTextKey, CIPHERTEXT.toString('base64'));
    }
  });

  test('line 21: challenge answered, Output sealed both ways with the right halves, flags clear', () => {
    const bench = begin(undefined);
    answerKey(bench);
    bench.receive(acknowledgeMessage(0));
    const secret = Buffer.alloc(64, 's');
    const challenge = JSON.stringify({ Challenge: agentSeals(secret).toString('base64') });
    bench.receive(outputMessage(1, challenge, PAYLOAD_TYPE.ENC_CHALLENGE_REQUEST));
    const answer = bench.received.stream.at(-1);
    assert.equal(answer?.payloadType, PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE);
    const { Challenge } = JSON.parse(answer.payload.toString()) as { Challenge: string };
    assert.ok(agentOpens(Buffer.from(Challenge, 'base64')).equals(secret));

    bench.receive(
      outputMessage(2, handshakeComplete('This session is encrypted'), PAYLOAD_TYPE.HANDSHAKE_COMPLETE),
    );
    bench.receive(outputMessage(3, agentSeals(Buffer.from('hello'))));
    assert.equal(bench.text, 'hello');
    bench.write('world');
    const sent = bench.received.stream.at(-1);
    assert.ok(sent);
    assert.equal(sent.payload.length, 5 + 28);
    assert.equal(agentOpens(sent.payload).toString(), 'world');
    bench.run((channel, now) => channel.terminate(now));
    assert.equal(bench.received.stream.at(-1)?.payload.toString('hex'), '00000002');
  });

  test('a resent message carries the very same bytes: a nonce is never used for two plaintexts', () => {
    const bench = begin(undefined);
    answerKey(bench);
    bench.receive(outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE));
    bench.write('once');
    bench.advance(3000);
    const copies = bench.received.stream.filter(({ payloadType }) => payloadType === PAYLOAD_TYPE.OUTPUT);
    assert.ok(new Set(copies.map(({ payload }) => payload.toString('hex'))).size === 1);
  });

  test('a data key that cannot be had is reported to the agent as a failed action', () => {
    const bench = begin(undefined);
    bench.run((channel, now) =>
      channel.dataKey({ failure: 'An error occurred (AccessDeniedException)' }, now),
    );
    const [message] = bench.received.stream;
    assert.ok(message);
    const { ProcessedClientActions } = JSON.parse(message.payload.toString()) as {
      ProcessedClientActions: { ActionStatus: number; Error: string }[];
    };
    assert.equal(ProcessedClientActions[1]?.ActionStatus, 2);
    assert.match(ProcessedClientActions[1].Error, /^Failed to process action KMSEncryption: .*AccessDenied/);
  });

  test('output sealed with another key ends the session: its bytes would be missing', () => {
    const bench = begin(undefined);
    answerKey(bench);
    bench.receive(outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE));
    const foreign = agentSeals(Buffer.from('hello'));
    foreign[foreign.length - 1] = (foreign[foreign.length - 1] ?? 0) ^ 1;
    const actions = bench.receive(outputMessage(2, foreign));
    assert.ok(actions.some((action) => action.kind === 'failed' && action.error.code === 'PROTOCOL_ERROR'));
    assert.equal(bench.text, '');
  });
});
