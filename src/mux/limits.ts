/** Every constant of the multiplexer: value, unit, origin. */

const KiB = 1024;
const MiB = 1024 * KiB;

/** Streams of the client have odd IDs; smux counts up before it uses the number, so the first is 3. */
export const FIRST_STREAM_ID = 3;
export const STREAM_ID_STEP = 2;
export const LAST_STREAM_ID = 0xffff_ffff;

/** Streams open at once: the agent keeps so many that wait to be dialled, then stops reading for all of them. */
export const MAX_STREAMS = 1024;

/** Bytes of one stream that wait to be sent; above it `write` asks the source to wait, below half of it no more. */
export const STREAM_PENDING_BYTES = 32 * KiB;
/** What a stream may send before it is another one's turn. With its header a frame then fills whole messages. */
export const QUANTUM_BYTES = 4 * KiB - 8;
/** Frames are handed to the data channel in pieces of about this size, so that small ones share a message. */
export const PULL_BYTES = 16 * KiB;

/**
 * Received and not yet taken by local clients, all streams together. smux v1 has no window per stream: whoever stops
 * reading from the channel stops every stream. So a slow client is buffered for while there are others (the official
 * ends stop at 4 MiB), and is slowed down at once when it is alone.
 */
export const SHARED_UNREAD_LIMIT_BYTES = 16 * MiB;
export const LONE_UNREAD_LIMIT_BYTES = 1 * MiB;
/** A client that takes not one byte for so long, while its bytes hold up others, is given up. Milliseconds. */
export const STALL_LIMIT_MS = 60_000;

/** smux ends a session whose peer sent no frame for 30 s; it sends one every 10 s. Milliseconds. */
export const KEEPALIVE_INTERVAL_MS = 10_000;

/** See half-close.ts. Milliseconds. */
export const GRACE_MS = {
  /** Nothing was sent either way: a look whether the port is open, or a wait for a banner. */
  unused: 3_000,
  /** The far end has not answered what was last sent. */
  unanswered: 60_000,
  /** The far end has answered and fell silent. */
  answered: 2_000,
} as const;
/** How often to ask whether the agent has acknowledged what a half-closed stream sent. Milliseconds. */
export const ACKNOWLEDGED_POLL_MS = 100;
