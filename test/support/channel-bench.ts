/** One channel under test: performs its actions, keeps what came of them. */
import type { Action } from '../../src/protocol/actions.ts';
import type { ChannelOptions } from '../../src/protocol/channel.ts';
import { Channel } from '../../src/protocol/channel.ts';
import { PAYLOAD_TYPE } from '../../src/protocol/message.ts';
import type { HandshakeOptions } from './fake-agent.ts';
import { Received, handshakeComplete, handshakeRequest, outputMessage } from './fake-agent.ts';
import { seededRandom } from './random.ts';

export class ChannelBench {
  readonly channel: Channel;
  readonly received = new Received();
  readonly delivered: Buffer[] = [];
  readonly actions: Action[] = [];
  now = 0;
  /** False: delivered bytes stay unread. */
  isReading = true;

  constructor(options: Partial<ChannelOptions> = {}) {
    const random = seededRandom(7);
    this.channel = new Channel({
      sessionId: 'user-0123',
      targetId: 'i-0123456789abcdef0',
      messagesPerSecond: undefined,
      randomBytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256)),
      wallClock: () => 1_730_000_000_000 + this.now,
      ...options,
    });
  }

  /** Runs inputs, then performs the actions; returns the new ones. */
  run(...inputs: ((channel: Channel, now: number) => unknown)[]): readonly Action[] {
    const fresh: Action[] = [];
    for (const input of inputs) {
      input(this.channel, this.now);
      for (const action of this.channel.take()) {
        fresh.push(action);
        if (action.kind === 'send') for (const message of action.messages) this.received.add(message);
        if (action.kind === 'deliver') {
          this.delivered.push(action.data);
          if (this.isReading) this.channel.consumed(action.data.length, this.now);
        }
      }
    }
    this.actions.push(...fresh);
    return fresh;
  }

  receive(...messages: Buffer[]): readonly Action[] {
    return this.run(
      ...messages.map((message) => (channel: Channel, now: number) => channel.receive(message, now)),
    );
  }

  write(data: Buffer | string): readonly Action[] {
    return this.run((channel, now) => channel.write(Buffer.from(data as string), now));
  }

  /** Lets time pass, waking the channel when it asks to be. */
  advance(ms: number): readonly Action[] {
    const end = this.now + ms;
    const fresh: Action[] = [];
    for (;;) {
      const deadline = this.channel.deadline();
      if (deadline === undefined || deadline > end) break;
      this.now = Math.max(this.now, deadline);
      fresh.push(...this.run((channel, now) => channel.tick(now)));
    }
    this.now = end;
    return fresh;
  }

  /** Link, handshake, and everything acknowledged; the next agent sequence number is 2, ours is 1. */
  handshake(options: HandshakeOptions = {}): void {
    this.run((channel, now) => channel.linkUp(now));
    this.receive(outputMessage(0, handshakeRequest(options), PAYLOAD_TYPE.HANDSHAKE_REQUEST));
    this.receive(outputMessage(1, handshakeComplete(), PAYLOAD_TYPE.HANDSHAKE_COMPLETE));
  }

  get text(): string {
    return Buffer.concat(this.delivered).toString('latin1');
  }

  /** Kinds of actions so far, without repeats of `send`. */
  get kinds(): string[] {
    return this.actions.map(({ kind }) => kind);
  }
}
