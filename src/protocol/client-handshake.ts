/**
 * The client's steps through the handshake, and what they leave behind: facts about the session and its cipher.
 *
 *   awaiting-request --HandshakeRequest--> [awaiting-key --data key-->] awaiting-complete --HandshakeComplete--> done
 *   awaiting-request --Output (the agent sends no handshake: shells)--> done
 *
 * Exactly one response is sent, whatever is repeated: a second one would block the agent's reader for ever.
 */
import type { Action } from './actions.ts';
import { NONCE_BYTES, PayloadCipher } from './cipher.ts';
import type { DataKeyOutcome, SessionFacts } from './handshake.ts';
import { SESSION_TYPE, dataKeyRequest, respond, sessionFacts } from './handshake.ts';
import { PAYLOAD_TYPE } from './message.ts';
import type { HandshakeRequest } from './payloads.ts';
import {
  formatChallenge,
  formatJson,
  parseChallenge,
  parseHandshakeComplete,
  parseHandshakeRequest,
} from './payloads.ts';

export type HandshakeState = 'awaiting-request' | 'awaiting-key' | 'awaiting-complete' | 'done';

export interface HandshakeOptions {
  readonly sessionId: string;
  /** Target as given to StartSession: part of the KMS encryption context. */
  readonly targetId: string;
  readonly randomBytes: (count: number) => Uint8Array;
}

export interface HandshakeHost {
  /** Sends a stream message of this payload type. */
  send(payloadType: number, payload: Buffer): void;
  emit(action: Action): void;
}

export class ClientHandshake {
  readonly #options: HandshakeOptions;
  readonly #host: HandshakeHost;
  #state: HandshakeState = 'awaiting-request';
  #request: HandshakeRequest | undefined;
  #facts: SessionFacts | undefined;
  #cipher: PayloadCipher | undefined;

  constructor(options: HandshakeOptions, host: HandshakeHost) {
    this.#options = options;
    this.#host = host;
  }

  get state(): HandshakeState {
    return this.#state;
  }

  /** From the request on; complete when the state is `done`. */
  get facts(): SessionFacts | undefined {
    return this.#facts;
  }

  /** Seals and opens stream payloads once there is a data key; undefined in sessions without encryption. */
  get cipher(): PayloadCipher | undefined {
    return this.#cipher;
  }

  /** Throws PROTOCOL_ERROR for a payload that makes no sense, as all of these. */
  receiveRequest(payload: Buffer): void {
    if (this.#state !== 'awaiting-request') {
      this.#host.emit({ kind: 'oddity', event: 'handshake_repeated', detail: 'HandshakeRequest ignored' });
      return;
    }
    const request = parseHandshakeRequest(payload);
    this.#request = request;
    this.#facts = sessionFacts(request);
    const wanted = dataKeyRequest(request, this.#options.sessionId, this.#options.targetId);
    if (wanted === undefined) {
      this.#respond(request, undefined);
      return;
    }
    this.#state = 'awaiting-key';
    this.#host.emit({ kind: 'dataKeyWanted', request: wanted });
  }

  /** The answer to `dataKeyWanted`; ignored when nobody waits for one. */
  receiveDataKey(outcome: DataKeyOutcome): void {
    if (this.#state !== 'awaiting-key' || this.#request === undefined) return;
    if ('key' in outcome) {
      this.#cipher = new PayloadCipher('client', outcome.key.plaintext, () =>
        this.#options.randomBytes(NONCE_BYTES),
      );
    }
    this.#respond(this.#request, outcome);
  }

  /** Proves that we hold the data key: the agent's secret comes back sealed with our half. */
  receiveChallenge(payload: Buffer): void {
    if (this.#cipher === undefined) {
      this.#host.emit({ kind: 'oddity', event: 'challenge_unexpected', detail: 'session is not encrypted' });
      return;
    }
    const secret = this.#cipher.open(parseChallenge(payload));
    this.#host.send(PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE, formatChallenge(this.#cipher.seal(secret)));
  }

  receiveComplete(payload: Buffer): void {
    if (this.#state !== 'awaiting-complete' || this.#facts === undefined) return;
    const text = parseHandshakeComplete(payload).CustomerMessage.trim();
    this.#state = 'done';
    this.#host.emit({ kind: 'ready', facts: this.#facts });
    if (text !== '') this.#host.emit({ kind: 'notice', text });
  }

  /** Shells without encryption have no handshake: their first message is Output. */
  skip(): void {
    if (this.#state !== 'awaiting-request') return;
    this.#state = 'done';
    this.#facts = {
      sessionType: SESSION_TYPE.STANDARD_STREAM,
      properties: {},
      agentVersion: undefined,
      isEncrypted: false,
    };
    this.#host.emit({ kind: 'ready', facts: this.#facts });
  }

  #respond(request: HandshakeRequest, dataKey: DataKeyOutcome | undefined): void {
    this.#state = 'awaiting-complete';
    this.#host.send(PAYLOAD_TYPE.HANDSHAKE_RESPONSE, formatJson(respond(request, dataKey)));
  }
}
