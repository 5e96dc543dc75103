/** Default times of a session, in milliseconds. Apart, so that the command line can name them without loading more. */

/** How long one loss may take to mend: a session is worth more than a few calls. */
export const RESUME_TIMEOUT_MS = 600_000;
/** Load balancers and proxies cut silent connections after 60 s and more; the official client pings every 5 min. */
export const PING_INTERVAL_MS = 25_000;
/** The official client never looks for the pong. */
export const PONG_TIMEOUT_MS = 10_000;
/** Age from which a link is renewed: the service cuts it at about 60 min. */
export const RENEW_AFTER_MS = 50 * 60_000;
