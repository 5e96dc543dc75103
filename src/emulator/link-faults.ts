/**
 * Applies message rules to the messages of one session: a pure decision maker with injected randomness. It says
 * what becomes of each message; the gateway does it.
 */
import { MESSAGE_TYPE, PAYLOAD_TYPE } from '../protocol/message.ts';
import type { Message } from '../protocol/message.ts';
import { corrupt } from './corrupt-message.ts';
import type { Direction, MessageRule, SessionPhase } from './message-rule.ts';

/** What to do, in order. */
export type LinkAction =
  | { readonly kind: 'pass'; readonly data: Buffer }
  /** Passes by itself later; others may overtake it. */
  | { readonly kind: 'pass-later'; readonly data: Buffer; readonly delayMs: number }
  /** The client's TCP connection is reset; with `partial`, after half of this message as one cut WebSocket frame. */
  | { readonly kind: 'cut'; readonly partial: Buffer | undefined }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  /** From now on nothing passes either way and nothing is answered, but the socket stays. */
  | { readonly kind: 'half-open' };

interface RuleState {
  readonly rule: MessageRule;
  matched: number;
  matchedBytes: number;
  acted: number;
}

interface Held {
  readonly data: Buffer;
  overtakersLeft: number;
}

const STREAM_TYPES: readonly string[] = [
  MESSAGE_TYPE.INPUT_STREAM_DATA,
  MESSAGE_TYPE.OUTPUT_STREAM_DATA,
  MESSAGE_TYPE.ACKNOWLEDGE,
];
/** Messages held back for reordering, per direction; one more is passed as it is. */
const MAX_HELD = 10_000;

export class LinkFaults {
  readonly #random: () => number;
  #rules: readonly MessageRule[] = [];
  #states: RuleState[] = [];
  #phase: SessionPhase = 'before-handshake';
  readonly #highestSequence: Record<Direction, number> = { 'to-client': -1, 'to-agent': -1 };
  readonly #held: Record<Direction, Held[]> = { 'to-client': [], 'to-agent': [] };

  constructor(random: () => number) {
    this.#random = random;
  }

  get phase(): SessionPhase {
    return this.#phase;
  }

  /** The rules in force. A new list starts new counts; the same list (by identity) goes on. */
  setRules(rules: readonly MessageRule[]): void {
    if (rules === this.#rules) return;
    this.#rules = rules;
    this.#states = rules.map((rule) => ({ rule, matched: 0, matchedBytes: 0, acted: 0 }));
  }

  /** Decides about one message: its bytes, and what they mean if they are a message. Bytes are passed on, not copied. */
  apply(direction: Direction, data: Buffer, message: Message | undefined): LinkAction[] {
    const actions = this.#decide(direction, data, message);
    if (message !== undefined) this.#follow(direction, message);
    return this.#release(direction, actions);
  }

  /** Messages of a direction still held for reordering: the wait for overtakers is over. */
  flushHeld(direction: Direction): Buffer[] {
    return this.#held[direction].splice(0).map((held) => held.data);
  }

  hasHeld(direction: Direction): boolean {
    return this.#held[direction].length > 0;
  }

  #decide(direction: Direction, data: Buffer, message: Message | undefined): LinkAction[] {
    for (const state of this.#states) {
      if (!this.#matches(state.rule, direction, data, message)) continue;
      if (!this.#acts(state, data.length)) continue;
      return this.#act(state.rule, direction, data);
    }
    return [{ kind: 'pass', data }];
  }

  #matches(rule: MessageRule, direction: Direction, data: Buffer, message: Message | undefined): boolean {
    if (rule.direction !== undefined && rule.direction !== direction) return false;
    if (rule.largerThanBytes > 0 && data.length <= rule.largerThanBytes) return false;
    if (rule.phase !== undefined && rule.phase !== this.#phase) return false;
    if (message === undefined) return rule.messageType === undefined && rule.payloadType === undefined;
    if (rule.messageType === undefined) {
      if (!STREAM_TYPES.includes(message.messageType)) return false;
    } else if (rule.messageType !== message.messageType) return false;
    if (rule.payloadType !== undefined && rule.payloadType !== message.payloadType) return false;
    const { sequenceNumber } = message;
    if (sequenceNumber < rule.fromSequence || sequenceNumber > rule.toSequence) return false;
    return !rule.firstTransmissionOnly || sequenceNumber > this.#highestSequence[direction];
  }

  #acts(state: RuleState, bytes: number): boolean {
    const { rule } = state;
    state.matched += 1;
    if (state.matched <= rule.skip) return false;
    if (rule.everyBytes > 0) {
      state.matchedBytes += bytes;
      if (state.matchedBytes < rule.everyBytes) return false;
      state.matchedBytes = 0;
    } else if ((state.matched - rule.skip) % rule.every !== 0) return false;
    if (rule.count > 0 && state.acted >= rule.count) return false;
    if (rule.probability < 1 && this.#random() >= rule.probability) return false;
    state.acted += 1;
    return true;
  }

  #act(rule: MessageRule, direction: Direction, data: Buffer): LinkAction[] {
    switch (rule.action) {
      case 'drop':
        return [];
      case 'duplicate': {
        const copies = Array.from({ length: rule.copies }, (): LinkAction =>
          rule.delayMs > 0 ? { kind: 'pass-later', data, delayMs: rule.delayMs } : { kind: 'pass', data },
        );
        return [{ kind: 'pass', data }, ...copies];
      }
      case 'delay':
        return [{ kind: 'pass-later', data, delayMs: rule.delayMs }];
      case 'reorder':
        if (this.#held[direction].length >= MAX_HELD) return [{ kind: 'pass', data }];
        // One more than asked: this very message is not an overtaker, but #release counts it.
        this.#held[direction].push({ data, overtakersLeft: rule.behind + 1 });
        return [];
      case 'cut':
        return [{ kind: 'cut', partial: undefined }];
      case 'cut-mid-message':
        return [{ kind: 'cut', partial: direction === 'to-client' ? data : undefined }];
      case 'close':
        return [{ kind: 'close', code: rule.closeCode, reason: rule.closeReason }];
      case 'half-open':
        return [{ kind: 'half-open' }];
      case 'bad-digest':
      case 'bad-payload':
      case 'wrong-length':
      case 'truncate':
      case 'unknown-message-type':
      case 'unknown-payload-type':
        return [{ kind: 'pass', data: corrupt(rule.action, data) }];
      default:
        return rule.action satisfies never;
    }
  }

  /** Adds the held messages that enough others have overtaken. */
  #release(direction: Direction, actions: LinkAction[]): LinkAction[] {
    const held = this.#held[direction];
    if (held.length === 0) return actions;
    const kept: Held[] = [];
    for (const each of held) {
      each.overtakersLeft -= 1;
      if (each.overtakersLeft > 0) kept.push(each);
      else actions.push({ kind: 'pass', data: each.data });
    }
    this.#held[direction] = kept;
    return actions;
  }

  #follow(direction: Direction, message: Message): void {
    const isStream =
      message.messageType === MESSAGE_TYPE.INPUT_STREAM_DATA ||
      message.messageType === MESSAGE_TYPE.OUTPUT_STREAM_DATA;
    if (!isStream) return;
    this.#highestSequence[direction] = Math.max(this.#highestSequence[direction], message.sequenceNumber);
    if (direction !== 'to-client') return;
    if (message.payloadType === PAYLOAD_TYPE.HANDSHAKE_REQUEST) {
      if (this.#phase === 'before-handshake') this.#phase = 'handshake';
    } else if (
      message.payloadType === PAYLOAD_TYPE.HANDSHAKE_COMPLETE ||
      message.payloadType === PAYLOAD_TYPE.OUTPUT
    ) {
      // Shells without a handshake begin with Output.
      this.#phase = 'after-handshake';
    }
  }
}
