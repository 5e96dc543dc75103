/**
 * Random and broken frames against the codec and a channel, in virtual time. It starts from the frames of an ordinary
 * session (plain or encrypted) and from bytes recorded elsewhere, then changes bytes, lengths, numbers, types and order,
 * with ticks, writes, and links going down and up in between.
 *
 * After every input it is checked that nothing was thrown, that what a channel keeps stays within its limits, that a
 * failure has a code of the table other than INTERNAL (our own bug), and that time always moves on.
 */
import assert from 'node:assert/strict';
import { ERROR_TABLE, ProxyError } from '../../src/errors.ts';
import type { Action } from '../../src/protocol/actions.ts';
import { Channel } from '../../src/protocol/channel.ts';
import { DATA_KEY_BYTES, PayloadCipher } from '../../src/protocol/cipher.ts';
import {
  PENDING_HIGH_WATER_BYTES,
  REORDER_LIMIT_BYTES,
  REORDER_OVERHEAD_BYTES,
  UNREAD_LIMIT_BYTES,
} from '../../src/protocol/limits.ts';
import { MESSAGE_TYPE, PAYLOAD_TYPE, decodeMessage } from '../../src/protocol/message.ts';
import {
  acknowledgeMessage,
  channelClosedMessage,
  handshakeComplete,
  handshakeRequest,
  outputMessage,
  serviceMessage,
} from './fake-agent.ts';
import { mutateFrame } from './frame-mutations.ts';
import type { Random } from './random.ts';
import { randomBuffer, randomInteger, seededRandom } from './random.ts';

export interface FuzzResult {
  readonly frames: number;
  readonly channels: number;
  /** Channels that came through their handshake. */
  readonly ready: number;
  /** Frames that the codec refused. */
  readonly undecodable: number;
  /** How channels ended, by code; `closed` by the service; `open` at the end of their frames. */
  readonly ends: Readonly<Record<string, number>>;
  readonly largest: {
    readonly unreadBytes: number;
    readonly waitingMessages: number;
    readonly unackedMessages: number;
    readonly actionsAtOnce: number;
  };
}

const MAX_FRAMES_PER_CHANNEL = 400;
const FRAMES_AFTER_END = 5;
const MAX_WRITE_BYTES = 20_000;
const WINDOW_BYTES = 64 * 1024;
const PAYLOAD_BYTES = 1024;
/** Largest payload that is sent here, so that the bound of unread bytes is exact. */
const MAX_PAYLOAD_BYTES = 4096;
/** The same in the few channels whose user never reads, to get to the limit. */
const FLOOD_PAYLOAD_BYTES = 256 * 1024;
const DATA_KEY = Buffer.alloc(DATA_KEY_BYTES, 5);

/** Feeds `count` frames. Throws with the seed that fails alone: `fuzz(<its frames>, seed)`. */
export function fuzz(
  count: number,
  seed: number,
  foreignFrames: readonly Buffer[],
  onProgress?: (frames: number) => void,
): FuzzResult {
  const tally = new Tally();
  for (let next = seed; tally.frames < count; next += 1) {
    try {
      new ChannelFuzz(next, foreignFrames, tally).run();
    } catch (error) {
      throw new Error(`fuzzing failed with seed ${next}: ${String(error)}`, { cause: error });
    }
    onProgress?.(tally.frames);
  }
  return tally;
}

class Tally implements FuzzResult {
  frames = 0;
  channels = 0;
  ready = 0;
  undecodable = 0;
  readonly ends: Record<string, number> = {};
  readonly largest = { unreadBytes: 0, waitingMessages: 0, unackedMessages: 0, actionsAtOnce: 0 };
}

/** One channel from its first link to its end. */
class ChannelFuzz {
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #foreign: readonly Buffer[];
  readonly #channel: Channel;
  readonly #cipher: PayloadCipher | undefined;
  readonly #isEncrypted: boolean;
  /** Chance that a frame is changed. */
  readonly #mutation: number;
  readonly #isReading: boolean;
  readonly #isFlood: boolean;
  readonly #past: Buffer[] = [];
  #now = 0;
  #nextSequence = 0;
  #unconsumed = 0;
  #mayWrite = true;
  #isLinkUp = false;
  #wantsKey = false;
  #end: string | undefined;

  constructor(seed: number, foreign: readonly Buffer[], tally: Tally) {
    this.#random = seededRandom(seed);
    this.#foreign = foreign;
    this.#tally = tally;
    this.#isEncrypted = this.#chance(0.2);
    this.#isFlood = this.#chance(0.003);
    this.#mutation = this.#isFlood ? 0 : this.#pick([0.005, 0.02, 0.2, 0.8]);
    this.#isReading = !this.#isFlood && this.#chance(0.8);
    this.#cipher = this.#isEncrypted
      ? new PayloadCipher('agent', DATA_KEY, () => randomBuffer(this.#random, 12))
      : undefined;
    this.#channel = new Channel({
      sessionId: 'user-0123',
      targetId: 'i-0123456789abcdef0',
      messagesPerSecond: this.#pick([undefined, 900, 20]),
      windowBytes: WINDOW_BYTES,
      randomBytes: (bytes) => randomBuffer(this.#random, bytes),
      wallClock: () => 1_730_000_000_000 + this.#now,
    });
  }

  run(): void {
    const frames = randomInteger(this.#random, 1, MAX_FRAMES_PER_CHANNEL);
    if (this.#chance(0.95)) this.#setLink(true);
    // A few more after its end, which must do nothing.
    for (let i = 0, after = 0; i < frames && after < FRAMES_AFTER_END; i += 1) {
      if (this.#end !== undefined) after += 1;
      this.#disturb();
      this.#receive(this.#nextFrame());
    }
    this.#tally.channels += 1;
    if (this.#channel.facts !== undefined && this.#channel.state !== 'awaiting-request')
      this.#tally.ready += 1;
    const end = this.#end ?? 'open';
    this.#tally.ends[end] = (this.#tally.ends[end] ?? 0) + 1;
  }

  // ---- frames ------------------------------------------------------------------------------------------------

  #nextFrame(): Buffer {
    const again = this.#chance(0.05) ? this.#past[this.#integer(this.#past.length)] : undefined;
    const original = again ?? this.#ordinaryFrame();
    if (this.#past.length < 64) this.#past.push(original);
    return this.#chance(this.#mutation) ? mutateFrame(this.#random, original) : original;
  }

  #ordinaryFrame(): Buffer {
    if (this.#nextSequence === 0 && this.#chance(0.9)) return this.#stream(...this.#handshakeRequest());
    if (this.#channel.state === 'awaiting-complete' && this.#chance(0.6)) return this.#handshakeProgress();
    const roll = this.#random();
    if (roll < 0.5)
      return this.#stream(this.#output(), this.#chance(0.9) ? PAYLOAD_TYPE.OUTPUT : PAYLOAD_TYPE.STD_ERR);
    if (roll < 0.8) return acknowledgeMessage(randomInteger(this.#random, 0, 200));
    if (roll < 0.84) return serviceMessage(MESSAGE_TYPE.PAUSE_PUBLICATION);
    if (roll < 0.9) return serviceMessage(MESSAGE_TYPE.START_PUBLICATION);
    if (roll < 0.905) return channelClosedMessage('the output');
    if (roll < 0.93) return this.#stream(randomBuffer(this.#random, this.#integer(8)), this.#integer(14));
    if (roll < 0.96) return this.#foreign[this.#integer(this.#foreign.length)] ?? Buffer.alloc(0);
    if (roll < 0.98) return randomBuffer(this.#random, this.#integer(300));
    return outputMessage(this.#nextSequence + this.#integer(50), this.#output());
  }

  #stream(payload: Buffer | string, payloadType: number): Buffer {
    const message = outputMessage(this.#nextSequence, payload, payloadType);
    this.#nextSequence += 1;
    return message;
  }

  #handshakeRequest(): [string, number] {
    const agentVersion = this.#pick(['3.3.987.0', '2.3.50.0', '3.2.1000.0', 'x']);
    const kms = { ActionType: 'KMSEncryption', ActionParameters: { KMSKeyId: 'k', Challenge: 'Y2g=' } };
    const unknown = { ActionType: 'Dance', ActionParameters: null };
    const extraActions = this.#isEncrypted ? [kms] : this.#chance(0.1) ? [unknown] : [];
    return [handshakeRequest({ agentVersion, extraActions }), PAYLOAD_TYPE.HANDSHAKE_REQUEST];
  }

  #handshakeProgress(): Buffer {
    if (this.#cipher !== undefined && this.#chance(0.5)) {
      const challenge = this.#cipher.seal(randomBuffer(this.#random, 32)).toString('base64');
      return this.#stream(JSON.stringify({ Challenge: challenge }), PAYLOAD_TYPE.ENC_CHALLENGE_REQUEST);
    }
    return this.#stream(handshakeComplete('hello'), PAYLOAD_TYPE.HANDSHAKE_COMPLETE);
  }

  #output(): Buffer {
    if (this.#isFlood && this.#cipher === undefined) return Buffer.alloc(FLOOD_PAYLOAD_BYTES);
    const data = randomBuffer(this.#random, this.#integer(this.#chance(0.05) ? MAX_PAYLOAD_BYTES : 200));
    return this.#cipher === undefined || this.#chance(0.02) ? data : this.#cipher.seal(data);
  }

  // ---- inputs ------------------------------------------------------------------------------------------------

  #receive(frame: Buffer): void {
    this.#tally.frames += 1;
    try {
      decodeMessage(Buffer.from(frame));
    } catch (thrown) {
      assert.ok(thrown instanceof ProxyError && thrown.code === 'PROTOCOL_ERROR', `codec: ${String(thrown)}`);
      this.#tally.undecodable += 1;
    }
    this.#channel.receive(Buffer.from(frame), this.#now);
    this.#perform();
  }

  /** What may happen between two frames. */
  #disturb(): void {
    const roll = this.#random();
    if (roll < 0.1) this.#tick(this.#integer(this.#chance(0.02) ? 40_000 : 800));
    else if (roll < 0.2) this.#write();
    else if (roll < 0.23) this.#setLink(!this.#isLinkUp);
    else if (roll < 0.24) this.#input((channel) => channel.hold(this.#chance(0.5), this.#now));
    else if (roll < 0.245) this.#input((channel) => channel.probe(this.#now));
    else if (roll < 0.246) this.#input((channel) => channel.terminate(this.#now));
    if (this.#unconsumed > 0 && this.#isReading && this.#chance(0.3)) this.#consume();
    if (this.#wantsKey && this.#chance(0.3)) this.#answerKey();
  }

  #write(): void {
    if (!this.#mayWrite || this.#channel.state === 'closed') return;
    const data = Buffer.alloc(this.#integer(MAX_WRITE_BYTES), 7);
    this.#mayWrite = this.#channel.write(data, this.#now);
    this.#perform();
  }

  #setLink(isUp: boolean): void {
    this.#isLinkUp = isUp;
    this.#input((channel) => (isUp ? channel.linkUp(this.#now) : channel.linkDown(this.#now)));
  }

  #consume(): void {
    const bytes = this.#unconsumed;
    this.#unconsumed = 0;
    this.#input((channel) => channel.consumed(bytes, this.#now));
  }

  #answerKey(): void {
    this.#wantsKey = false;
    const plaintext = this.#chance(0.95) ? DATA_KEY : Buffer.alloc(3);
    const outcome = this.#chance(0.9)
      ? { key: { plaintext, ciphertext: Buffer.from('wrapped') } }
      : { failure: 'denied' };
    this.#input((channel) => channel.dataKey(outcome, this.#now));
  }

  #tick(ms: number): void {
    this.#now += ms + 1;
    this.#input((channel) => channel.tick(this.#now));
    const deadline = this.#channel.deadline();
    assert.ok(
      deadline === undefined || deadline > this.#now,
      `deadline ${deadline} after tick at ${this.#now}`,
    );
  }

  #input(input: (channel: Channel) => unknown): void {
    input(this.#channel);
    this.#perform();
  }

  // ---- checks ------------------------------------------------------------------------------------------------

  #perform(): void {
    const actions = this.#channel.take();
    for (const action of actions) this.#performOne(action);
    assert.equal(this.#channel.take().length, 0, 'one take is enough');
    const { largest } = this.#tally;
    largest.actionsAtOnce = Math.max(largest.actionsAtOnce, actions.length);
    const { unreadBytes, waitingMessages, unackedBytes, unackedMessages, pendingBytes } =
      this.#channel.stats();
    largest.unreadBytes = Math.max(largest.unreadBytes, unreadBytes);
    largest.waitingMessages = Math.max(largest.waitingMessages, waitingMessages);
    largest.unackedMessages = Math.max(largest.unackedMessages, unackedMessages);
    assert.equal(unreadBytes, this.#unconsumed, 'unread bytes are those delivered and not consumed');
    assert.ok(
      unreadBytes <= UNREAD_LIMIT_BYTES + (this.#isFlood ? FLOOD_PAYLOAD_BYTES : MAX_PAYLOAD_BYTES),
      `unread ${unreadBytes}`,
    );
    assert.ok(waitingMessages * REORDER_OVERHEAD_BYTES <= REORDER_LIMIT_BYTES, `waiting ${waitingMessages}`);
    // A second window for what an agent that does not acknowledge duplicates was sent again.
    assert.ok(unackedBytes < 2 * WINDOW_BYTES + PAYLOAD_BYTES, `unacknowledged ${unackedBytes}`);
    // Without stream bytes: a response, probes, a flag, and one answer per challenge of the agent.
    assert.ok(
      unackedMessages <= 2 * WINDOW_BYTES + MAX_FRAMES_PER_CHANNEL,
      `unacknowledged ${unackedMessages}`,
    );
    assert.ok(pendingBytes < PENDING_HIGH_WATER_BYTES + MAX_WRITE_BYTES, `pending ${pendingBytes}`);
  }

  #performOne(action: Action): void {
    switch (action.kind) {
      case 'send':
        assert.ok(this.#isLinkUp, 'nothing is sent without a link');
        for (const message of action.messages) decodeMessage(message);
        return;
      case 'deliver':
        assert.equal(this.#end, undefined, 'nothing is delivered after the end');
        this.#unconsumed += action.data.length;
        return;
      case 'writable':
        this.#mayWrite = true;
        return;
      case 'dataKeyWanted':
        this.#wantsKey = true;
        return;
      case 'closed':
        this.#ended('closed');
        return;
      case 'failed': {
        const { code, message } = action.error;
        assert.ok(Object.hasOwn(ERROR_TABLE, code) && code !== 'INTERNAL', `failed with ${code}: ${message}`);
        this.#ended(code);
        return;
      }
      case 'ready':
      case 'notice':
      case 'flag':
      case 'exitCode':
      case 'paceLearnt':
      case 'oddity':
        return;
    }
  }

  #ended(how: string): void {
    assert.equal(this.#end, undefined, 'it ends once');
    this.#end = how;
  }

  #chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** From 0 to `below` - 1. */
  #integer(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#integer(values.length)] as T;
  }
}
