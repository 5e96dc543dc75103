/** Evidence of what clients asked for: API calls by operation, and data-channel opens. Bounded. */

export interface CallCount {
  calls: number;
  succeeded: number;
  /** Refused with a throttling error. */
  throttled: number;
  /** Other refusals by error code. */
  readonly refused: Record<string, number>;
}

export interface ChannelOpen {
  /** Milliseconds since the epoch, service time. */
  readonly at: number;
  readonly sessionId: string;
  /** The request line's path and query, byte for byte. */
  readonly requestUrl: string;
  /** 'header', 'query' (presigned) or 'none'. */
  readonly signature: 'header' | 'query' | 'none';
  /** Access key that signed, once checked. */
  accessKeyId: string | undefined;
  readonly userAgent: string | undefined;
  /** From OpenDataChannelInput, once it came. The token itself is never kept. */
  requestId: string | undefined;
  clientId: string | undefined;
  clientVersion: string | undefined;
  /** 'pending', 'bound', or why it was refused. */
  outcome: string;
}

const MAX_OPENS = 1000;
const THROTTLING_CODES = [
  'ThrottlingException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
  'Throttling',
];

export class CallLog {
  readonly #counts = new Map<string, CallCount>();
  readonly #opens: ChannelOpen[] = [];

  /** `operation` is 'ssm:StartSession'; `refusal` the error code, undefined after success. */
  record(operation: string, refusal: string | undefined): void {
    let count = this.#counts.get(operation);
    if (count === undefined) {
      count = { calls: 0, succeeded: 0, throttled: 0, refused: {} };
      this.#counts.set(operation, count);
    }
    count.calls += 1;
    if (refusal === undefined) count.succeeded += 1;
    else if (THROTTLING_CODES.includes(refusal)) count.throttled += 1;
    else count.refused[refusal] = (count.refused[refusal] ?? 0) + 1;
  }

  recordOpen(open: ChannelOpen): void {
    if (this.#opens.length >= MAX_OPENS) this.#opens.splice(0, MAX_OPENS / 2);
    this.#opens.push(open);
  }

  counts(): Readonly<Record<string, Readonly<CallCount>>> {
    return structuredClone(Object.fromEntries(this.#counts));
  }

  /** Oldest first; the last thousand or so. */
  opens(): readonly Readonly<ChannelOpen>[] {
    return structuredClone(this.#opens);
  }
}
