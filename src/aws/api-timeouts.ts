/** Limits of API calls, and what their answers tell about the time. */

export interface ApiTimeouts {
  /** TCP, and the HTTP proxy's and TLS handshakes where a proxy is used. Milliseconds. */
  readonly connectMs: number;
  /** From the start to the answer's headers, and the longest silence within the answer. Milliseconds. */
  readonly requestMs: number;
}

export const API_TIMEOUTS: ApiTimeouts = { connectMs: 5_000, requestMs: 15_000 };

/** Server time minus ours; the SDK corrects its own signatures, this is for those that we make. */
export interface ClockSkew {
  offsetMs: number;
}
