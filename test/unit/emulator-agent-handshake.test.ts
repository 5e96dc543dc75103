/** The emulated agent's handshake: protocol.md 5, in virtual time. */
import assert from 'node:assert/strict';
import * as crypto from 'node:crypto';
import { describe, test } from 'node:test';
import { FLAG, formatJson } from '../../src/protocol/payloads.ts';
import { MESSAGE_TYPE, PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import type { Message } from '../../src/protocol/message.ts';
import type { ScriptedClientOptions } from '../support/scripted-client.ts';
import { ScriptedClient, SUCCESS } from '../support/scripted-client.ts';
import { until } from '../support/until.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ERROR_TITLE = '\n----------ERROR-------\n';
const COMMAND = { sessionType: 'NonInteractiveCommands', properties: {}, command: 'true' };

function start(options: ScriptedClientOptions = {}): { client: ScriptedClient; clock: VirtualClock } {
  const clock = new VirtualClock();
  return { client: new ScriptedClient({ clock, answersHandshake: false, ...options }), clock };
}

function json(message: Message | undefined): Record<string, unknown> {
  return JSON.parse(message?.payload.toString() ?? 'null') as Record<string, unknown>;
}

describe('the handshake request', () => {
  test('5.2: is sent at once with sequence number 0 and header flags 1, before any client is there', (t) => {
    const { client } = start({ acknowledges: false });
    t.after(() => client.session.kill());
    const [request] = client.received;
    assert.equal(request?.messageType, MESSAGE_TYPE.OUTPUT_STREAM_DATA);
    assert.equal(request?.payloadType, PAYLOAD_TYPE.HANDSHAKE_REQUEST);
    assert.equal(request?.sequenceNumber, 0);
    assert.equal(request?.flags, 1);
  });

  test('5.3: names the agent version and the session type with its properties, in the order of the agent', (t) => {
    const { client } = start({ acknowledges: false });
    t.after(() => client.session.kill());
    assert.equal(
      client.received[0]?.payload.toString(),
      '{"AgentVersion":"3.3.987.0","RequestedClientActions":[{"ActionType":"SessionType",' +
        '"ActionParameters":{"SessionType":"Port","Properties":{"portNumber":"22"}}}]}',
    );
  });

  test('5.3: Properties are null for commands', (t) => {
    const { client } = start({ request: COMMAND });
    t.after(() => client.session.kill());
    assert.match(client.received[0]?.payload.toString() ?? '', /"Properties":null/);
  });

  test('5.1: shells and interactive commands without encryption have none', (t) => {
    for (const sessionType of ['Standard_Stream', 'InteractiveCommands']) {
      const { client } = start({ request: { sessionType, command: 'true' } });
      t.after(() => client.session.kill());
      assert.equal(client.hasType(PAYLOAD_TYPE.HANDSHAKE_REQUEST), false, sessionType);
    }
  });

  test('5.2: is repeated at the first scan after the RTO until it is acknowledged', (t) => {
    const { client, clock } = start({ acknowledges: false });
    t.after(() => client.session.kill());
    const count = (): number => client.received.length;
    clock.advance(200);
    assert.equal(count(), 1);
    clock.advance(100);
    assert.equal(count(), 2);
    clock.advance(200);
    assert.equal(count(), 2);
    clock.advance(100);
    assert.equal(count(), 3);
    assert.deepEqual(client.received[2]?.payload, client.received[0]?.payload);
    client.acknowledge(client.received[0] as Message);
    clock.advance(5000);
    assert.equal(count(), 3);
  });

  test('handshakeDelayMs holds it back', (t) => {
    const { client, clock } = start({ behaviour: { handshakeDelayMs: 500 } });
    t.after(() => client.session.kill());
    clock.advance(499);
    assert.equal(client.received.length, 0);
    clock.advance(1);
    assert.equal(client.received.length, 1);
  });
});

describe('the end of the handshake', () => {
  test('5.2: without a response the task fails after 15 s with the text of the agent', async () => {
    const { client, clock } = start();
    await clock.advanceAsync(14_999);
    assert.equal(client.traces.includes('finishing'), false);
    await clock.advanceAsync(10);
    assert.deepEqual(client.result, {
      status: 'Failed',
      output: `${ERROR_TITLE}Encountered error while initiating handshake. Handshake timed out. Please ensure that you have the latest version of the session manager plugin.`,
    });
    assert.equal(clock.pendingTimers, 0);
  });

  test('8.3: unacknowledged messages hold the result back for 2 s', () => {
    const { client, clock } = start({ acknowledges: false });
    clock.advance(15_000 + 2000);
    assert.equal(client.hasEnded, false);
    clock.advance(10);
    assert.equal(client.result?.status, 'Failed');
    assert.equal(clock.pendingTimers, 0);
  });

  test('5.3: an action that did not succeed fails the task with status and reason', async () => {
    const { client, clock } = start({ behaviour: { extraClientAction: 'Dance' } });
    const requested = json(client.received[0])['RequestedClientActions'] as { ActionType: string }[];
    assert.deepEqual(
      requested.map((action) => action.ActionType),
      ['SessionType', 'Dance'],
    );
    client.respond([
      SUCCESS,
      { ActionType: 'Dance', ActionStatus: 3, ActionResult: null, Error: 'Unsupported action Dance' },
    ]);
    await clock.advanceAsync(20);
    assert.deepEqual(client.acknowledged, [0]);
    assert.deepEqual(client.result, {
      status: 'Failed',
      output: `${ERROR_TITLE}Encountered error while initiating handshake. Dance failed on client with status 3 error: Unsupported action Dance`,
    });
  });

  test('5.2: HandshakeComplete follows as the next message, with the time taken in nanoseconds', async (t) => {
    const { client, clock } = start();
    t.after(() => client.session.kill());
    clock.advance(40);
    client.respond([SUCCESS]);
    const complete = client.stream[1];
    assert.equal(complete?.payloadType, PAYLOAD_TYPE.HANDSHAKE_COMPLETE);
    assert.equal(complete?.sequenceNumber, 1);
    assert.equal(complete?.flags, 0);
    assert.equal(complete?.payload.toString(), '{"HandshakeTimeToComplete":40000000,"CustomerMessage":""}');
    await clock.advanceAsync(0);
  });

  test('4.3: HandshakeComplete can reach the client before the acknowledgement of its response', (t) => {
    const { client } = start();
    t.after(() => client.session.kill());
    client.respond([SUCCESS]);
    assert.deepEqual(
      client.received.slice(1).map((message) => message.messageType),
      [MESSAGE_TYPE.OUTPUT_STREAM_DATA, MESSAGE_TYPE.ACKNOWLEDGE],
    );
  });

  test('5.2: Output, Size and Flag before it are acknowledged and thrown away', (t) => {
    const { client } = start();
    t.after(() => client.session.kill());
    client.send(PAYLOAD_TYPE.OUTPUT, 'early');
    client.send(PAYLOAD_TYPE.SIZE, '{"cols":1,"rows":1}');
    client.sendFlag(FLAG.TERMINATE_SESSION);
    assert.deepEqual(client.acknowledged, [0, 1, 2]);
    assert.equal(client.session.stats().receivedBytes, 5);
    assert.equal(client.traces.filter((event) => event === 'discarded').length, 3);
    assert.equal(client.hasEnded, false);
  });

  test('4.3: a response that is not JSON is not acknowledged, a right one with its number is', (t) => {
    const { client } = start();
    t.after(() => client.session.kill());
    client.send(PAYLOAD_TYPE.HANDSHAKE_RESPONSE, 'no json', 0);
    assert.deepEqual(client.acknowledged, []);
    client.respond([SUCCESS], 0);
    assert.deepEqual(client.acknowledged, [0]);
    assert.equal(client.hasType(PAYLOAD_TYPE.HANDSHAKE_COMPLETE), true);
  });

  test('5.2: the same response again is acknowledged again and harmless', (t) => {
    const { client } = start();
    t.after(() => client.session.kill());
    client.respond([SUCCESS], 0);
    client.respond([SUCCESS], 0);
    assert.deepEqual(client.acknowledged, [0, 0]);
  });

  test('5.2: a second response with a new number blocks the reader for ever', async (t) => {
    const { client, clock } = start();
    t.after(() => client.session.kill());
    client.respond([SUCCESS], 0);
    client.respond([SUCCESS], 1);
    client.send(PAYLOAD_TYPE.SIZE, '{}', 0);
    client.sendFlag(FLAG.TERMINATE_SESSION);
    await clock.advanceAsync(1000);
    assert.deepEqual(client.acknowledged, [0]);
    assert.equal(client.hasEnded, false);
  });

  test('8: a session closed by the service meanwhile ends as cancelled when the handshake is over', async () => {
    const { client, clock } = start();
    client.closeByService();
    await clock.advanceAsync(100);
    assert.equal(client.hasEnded, false);
    client.respond([SUCCESS]);
    await clock.advanceAsync(100);
    assert.deepEqual(client.result, { status: 'Cancelled', output: '' });
    assert.equal(clock.pendingTimers, 0);
  });

  test('kill leaves no timer, sends nothing and reports nothing', async () => {
    const { client, clock } = start({ acknowledges: false });
    client.session.kill();
    client.session.kill();
    assert.equal(clock.pendingTimers, 0);
    client.respond([SUCCESS]);
    await clock.advanceAsync(100_000);
    assert.equal(client.received.length, 1);
    assert.equal(client.hasEnded, false);
  });

  test('5.3: a client that cannot separate stderr is told so', (t) => {
    const { client } = start({
      request: { ...COMMAND, separateOutputStream: true },
      clientVersion: '1.2.295',
    });
    t.after(() => client.session.kill());
    client.respond([SUCCESS]);
    assert.match(
      String(json(client.stream[1])['CustomerMessage']),
      /minimum required version 1\.2\.312\.0\).*\r\n$/,
    );
  });
});

describe('encryption, 5.5', () => {
  const DATA_KEY = Buffer.from(Array.from({ length: 64 }, (_, i) => i));
  const KMS = { sessionType: 'Standard_Stream', kmsKeyId: 'arn:aws:kms:us-west-2:1:key/k', properties: {} };
  const agentKey = DATA_KEY.subarray(0, 32);
  const clientKey = DATA_KEY.subarray(32);

  function open(payload: Buffer): Buffer {
    const decipher = crypto.createDecipheriv('aes-256-gcm', agentKey, payload.subarray(0, 12));
    decipher.setAuthTag(payload.subarray(-16));
    return Buffer.concat([decipher.update(payload.subarray(12, -16)), decipher.final()]);
  }

  function seal(plain: Buffer, key: Buffer = clientKey): Buffer {
    const nonce = crypto.randomBytes(12);
    const cipher = crypto.createCipheriv('aes-256-gcm', key, nonce);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  function keyResponse(acknowledgesChallenge?: boolean): readonly object[] {
    const result = {
      KMSCipherTextKey: Buffer.from('blob').toString('base64'),
      KMSCipherTextHash: null,
      ...(acknowledgesChallenge === undefined ? {} : { ChallengeAcknowledgement: acknowledgesChallenge }),
    };
    return [SUCCESS, { ActionType: 'KMSEncryption', ActionStatus: 1, ActionResult: result, Error: '' }];
  }

  function startEncrypted(request: object = {}): {
    client: ScriptedClient;
    clock: VirtualClock;
    calls: { ciphertext: string; context: Readonly<Record<string, string>> }[];
  } {
    const calls: { ciphertext: string; context: Readonly<Record<string, string>> }[] = [];
    const started = start({
      request: { ...KMS, ...request },
      decryptDataKey: (ciphertext, context) => {
        calls.push({ ciphertext: ciphertext.toString(), context });
        return Promise.resolve(DATA_KEY);
      },
    });
    return { ...started, calls };
  }

  function challengeOf(client: ScriptedClient): Buffer {
    const message = client.stream.find((m) => m.payloadType === PAYLOAD_TYPE.ENC_CHALLENGE_REQUEST);
    return open(Buffer.from(String(json(message)['Challenge']), 'base64'));
  }

  test('the request asks for a key and gives a random challenge of 16 bytes', (t) => {
    const { client } = startEncrypted();
    t.after(() => client.session.kill());
    const actions = json(client.received[0])['RequestedClientActions'] as { ActionParameters: object }[];
    const parameters = actions[1]?.ActionParameters as Record<string, string>;
    assert.equal(parameters['KMSKeyId'], KMS.kmsKeyId);
    assert.equal(Buffer.from(parameters['Challenge'] ?? '', 'base64').length, 16);
  });

  test('agents before 3.3.808.0 give no random challenge', (t) => {
    const { client } = startEncrypted({ agentVersion: '3.3.807.0' });
    t.after(() => client.session.kill());
    assert.equal(client.received[0]?.payload.toString().includes('Challenge'), false);
  });

  test('Port sessions are never encrypted', (t) => {
    const { client } = startEncrypted({ sessionType: 'Port', properties: { portNumber: '22' } });
    t.after(() => client.session.kill());
    assert.equal(client.received[0]?.payload.toString().includes('KMSEncryption'), false);
  });

  for (const acknowledges of [undefined, false, true]) {
    test(`the context has the random challenge exactly when it was acknowledged (${acknowledges})`, async (t) => {
      const { client, clock, calls } = startEncrypted();
      t.after(() => client.session.kill());
      const [, action] = json(client.received[0])['RequestedClientActions'] as {
        ActionParameters: Record<string, string>;
      }[];
      client.respond(keyResponse(acknowledges));
      await clock.advanceAsync(0);
      assert.deepEqual(calls, [
        {
          ciphertext: 'blob',
          context: {
            'aws:ssm:SessionId': 'user-0123',
            'aws:ssm:TargetId': 'i-0123456789abcdef0',
            ...(acknowledges === true
              ? { 'aws:ssm:RandomChallenge': action?.ActionParameters['Challenge'] }
              : {}),
          },
        },
      ]);
    });
  }

  test('the challenge is 64 bytes under the first half; the answer under the second half completes', async (t) => {
    const { client, clock } = startEncrypted();
    t.after(() => client.session.kill());
    client.respond(keyResponse());
    await clock.advanceAsync(0);
    const challenge = challengeOf(client);
    assert.equal(challenge.length, 64);
    client.send(
      PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE,
      formatJson({ Challenge: seal(challenge).toString('base64') }),
    );
    const complete = client.stream.find((m) => m.payloadType === PAYLOAD_TYPE.HANDSHAKE_COMPLETE);
    assert.equal(json(complete)['CustomerMessage'], 'This session is encrypted using AWS KMS.');
    assert.deepEqual(client.acknowledged, [0, 1]);
  });

  test('a wrong answer is not acknowledged and runs into the timeout, a right one afterwards too', async () => {
    const { client, clock } = startEncrypted();
    client.respond(keyResponse());
    await clock.advanceAsync(0);
    const challenge = challengeOf(client);
    const answer = (plain: Buffer, key: Buffer): Buffer =>
      formatJson({ Challenge: seal(plain, key).toString('base64') });
    client.send(PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE, answer(crypto.randomBytes(64), clientKey), 1);
    client.send(PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE, answer(challenge, agentKey), 1);
    assert.deepEqual(client.acknowledged, [0]);
    await clock.advanceAsync(14_000);
    assert.equal(client.hasEnded, false);
    await clock.advanceAsync(1100);
    assert.match(client.result?.output ?? '', /Timed out waiting for encryption challenge\.$/);
  });

  test('a key that cannot be had fails the task', async () => {
    const clock = new VirtualClock();
    const client = new ScriptedClient({
      clock,
      answersHandshake: false,
      request: KMS,
      decryptDataKey: () => Promise.reject(new Error('AccessDeniedException: no')),
    });
    client.respond(keyResponse());
    await clock.advanceAsync(20);
    assert.match(client.result?.output ?? '', /Fetching data key failed: AccessDeniedException: no$/);
  });

  test('a client that gives no key is not let through', async () => {
    const { client, clock } = startEncrypted();
    client.respond([SUCCESS]);
    await clock.advanceAsync(16_000);
    assert.equal(client.hasType(PAYLOAD_TYPE.HANDSHAKE_COMPLETE), false);
    assert.equal(client.result?.status, 'Failed');
  });

  test('Output is sealed both ways, Size is not, and what cannot be opened is not acknowledged', async (t) => {
    const { client, clock } = startEncrypted({
      sessionType: 'InteractiveCommands',
      command: 'read x; echo "<$x>"',
    });
    t.after(() => client.session.kill());
    client.respond(keyResponse());
    await clock.advanceAsync(0);
    const answer = formatJson({ Challenge: seal(challengeOf(client)).toString('base64') });
    client.send(PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE, answer, 1);
    // The pty starts in real time; until then everything is refused.
    const size = Buffer.from('{"cols":100,"rows":30}');
    await until('the terminal', () => {
      client.send(PAYLOAD_TYPE.SIZE, size, 2);
      return client.acknowledged.includes(2);
    });
    client.send(PAYLOAD_TYPE.OUTPUT, 'plain text', 3);
    assert.equal(client.acknowledged.includes(3), false);
    client.send(PAYLOAD_TYPE.OUTPUT, seal(Buffer.from('secret\n')), 3);
    assert.equal(client.acknowledged.includes(3), true);
    await until('the output', () => {
      clock.advance(100);
      const sealed = client.stream.filter((m) => m.payloadType === PAYLOAD_TYPE.OUTPUT);
      return sealed
        .map((m) => open(m.payload).toString())
        .join('')
        .includes('<secret>');
    });
  });
});
