/** What carries forwarded connections over one session, in either of two ways: mux-carrier.ts, basic-carrier.ts. */
import type { ProxyError } from '../errors.ts';
import type { ForwardStream } from './forward-stream.ts';

/** Events of the session that carriers live on, in the words of SessionEvents. */
export interface Carrier {
  /** Many streams at once, or one after the other. */
  readonly isMultiplexed: boolean;
  /** Streams that were opened and are not closed yet. */
  readonly streams: number;
  /** A slow reader holds up all streams, or there are as many as there can be. */
  readonly isHeldUp: boolean;
  /** Undefined when there are too many. */
  openStream(): ForwardStream | undefined;
  onData(data: Buffer): void;
  onWritable(): void;
  onDrained(): void;
  onFlag(flag: number): void;
  onLink(state: 'lost' | 'restored'): void;
  /** The session is over: every stream fails with `error`. */
  end(error: ProxyError): void;
}
