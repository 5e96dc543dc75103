/** Every constant of the data channel: value, unit, origin. "Official" means Amazon's client and agent alike. */

/** Version in the open message and the HandshakeResponse. Four parts, at least the documented minimum 1.2.764.0:
 * agents switch behaviour by it (multiplexing, smux keepalive), so it never follows our own version. */
export const CLIENT_VERSION = '1.2.835.0';

/** Stream bytes per message; what both official ends send, and the only size never reported as harmful. */
export const PAYLOAD_BYTES = 1024;

/** Data messages per second at the safe pace: the service punishes sustained rates above about 1000. */
export const SAFE_MESSAGES_PER_SECOND = 900;
/** Messages that may leave at once after a pause: bursts of this size are ordinary traffic for the official client. */
export const PACE_BURST_MESSAGES = 64;

/** Unacknowledged stream bytes in flight at a set pace: covers 900 messages/s at 280 ms of round trip. */
export const PACED_WINDOW_BYTES = 256 * 1024;
/** The same without pace: 20 MB/s at 200 ms of round trip. It bounds what a loss can cost. */
export const UNPACED_WINDOW_BYTES = 4 * 1024 * 1024;
/** The window (window.ts) begins here, doubling with every round trip while nothing waits on the path... */
export const WINDOW_INITIAL_BYTES = 32 * 1024;
/** ...and never shrinks below this: eight ordinary messages. */
export const WINDOW_LEAST_BYTES = 8 * 1024;
/** Time that messages may wait on the path: enough to keep it busy over our own pauses, little to a typist. */
export const WINDOW_QUEUE_MS = 100;
/** Samples before a round may end early because of its wait. */
export const WINDOW_JAM_SAMPLES = 8;
/** Without acknowledgements for so long, the window begins anew. */
export const WINDOW_IDLE_MS = 1000;
/** The shortest round trip is measured anew when it, or hardly more, has not been seen for so long. */
export const BASE_LIFE_MS = 30_000;
export const WINDOW_BASE_FACTOR = 9 / 8;
export const WINDOW_BASE_SLACK_MS = 2;
/** The pace `auto` (pace-search.ts). Largest payload: the real agent takes any (its reader has no limit, and its port
 * plugin writes a payload as it comes: agent/session/communicator and plugins/port of amazon-ssm-agent); with the
 * envelope this one stays below the 64 KiB at which a gateway would cut. Beyond 32 KiB were no reports. */
export const AUTO_PAYLOAD_MAX_BYTES = 60 * 1024;
/** With payloads of this size no more than the safe number of messages is needed. */
export const AUTO_RATE_BELOW_BYTES = 16 * 1024;
export const AUTO_RATE_FACTOR = 4 / 3;
export const AUTO_RATE_MAX = 4000;
/** Full use after which a step counts as proven. Milliseconds. */
export const AUTO_PAYLOAD_STEP_MS = 500;
export const AUTO_RATE_STEP_MS = 3000;
/** A step is blamed for what happens within this time. Milliseconds. */
export const AUTO_BLAME_MS = 5000;
/** No step for so long after a pause without a step to blame; a third of it after one. Milliseconds. */
export const AUTO_HOLD_MS = 30_000;
/** So many messages lost, and more than 2 %, are too many. */
export const AUTO_LOSSES = 8;

/** Bytes accepted from the user and not yet sent; above this `write` asks the source to wait. */
export const PENDING_HIGH_WATER_BYTES = 128 * 1024;

/** Delivered to the user and not yet consumed: above the first mark reading from the socket stops, below the second it
 * goes on. */
export const UNREAD_PAUSE_BYTES = 1024 * 1024;
export const UNREAD_RESUME_BYTES = 256 * 1024;
/** Hard bound of the same: messages beyond it are neither acknowledged nor kept, so the agent sends them again. */
export const UNREAD_LIMIT_BYTES = 16 * 1024 * 1024;
/** Bytes held out of order while the agent heals a gap, which it does at 10 messages/s however many follow. */
export const REORDER_LIMIT_BYTES = 128 * 1024 * 1024;
/** What one held message costs besides its payload: bounds a flood of empty messages. */
export const REORDER_OVERHEAD_BYTES = 256;

/** Round-trip estimation (RFC 6298 with the official constants). Milliseconds. */
export const RTT_INITIAL_MS = 100;
export const RTT_GAIN = 1 / 8;
export const RTT_VARIATION_GAIN = 1 / 4;
export const CLOCK_GRANULARITY_MS = 10;
export const RTO_MIN_MS = 200;
export const RTO_MAX_MS = 1000;
/** Longest wait between two probes of a silent path, after exponential back-off. */
export const PROBE_MAX_MS = 5000;
/** Probe interval while the service has paused publication. */
export const PAUSED_PROBE_MS = 1000;

/** A message counts as lost when this many sent after it are acknowledged (RFC 9002's threshold)... */
export const REORDER_THRESHOLD = 3;
/** ...or when any is, and it is older than the round trip by this factor. */
export const LOSS_DELAY_FACTOR = 9 / 8;

/** Agents that do not acknowledge duplicates leave a message unacknowledged for ever when one acknowledgement is lost:
 * after so many resends, each followed by acknowledgements of later messages, it counts as received. */
export const PRESUMED_RECEIVED_RESENDS = 8;

/** Acknowledgements sent again over a new link: those sent so many milliseconds and two round trips before the newest,
 * which covers what can have been on the wire; and at most so many, what the agent sends in half a second. */
export const REPEATED_ACKS_MS = 250;
export const REPEATED_ACKS = 512;
/** No agent ever gets so far; it ignores the acknowledgement of a message that it does not know. */
export const UNUSED_SEQUENCE_NUMBER = 2 ** 31 - 1;

/** From the first link to HandshakeComplete. The agent's own clocks are 15 s each. */
export const HANDSHAKE_TIMEOUT_MS = 30_000;

/** Largest message accepted from the peer. The service may send large JSON; data messages are about 1 KiB. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
