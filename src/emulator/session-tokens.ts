/** Tokens that open data channels: random, for one session, with a lifetime, single-use or not. */
import * as crypto from 'node:crypto';

interface IssuedToken {
  readonly sessionId: string;
  /** Service time. */
  readonly issuedAt: number;
  isUsed: boolean;
}

export type TokenVerdict = 'accepted' | 'unknown' | 'expired' | 'used';

const MAX_TOKENS = 100_000;

export class SessionTokens {
  readonly #tokens = new Map<string, IssuedToken>();

  /** `now` is service time. */
  issue(sessionId: string, now: number): string {
    if (this.#tokens.size >= MAX_TOKENS) {
      const [oldest] = this.#tokens.keys();
      if (oldest !== undefined) this.#tokens.delete(oldest);
    }
    // Real ones are long base64 texts of at most 300 characters.
    const token = crypto.randomBytes(192).toString('base64');
    this.#tokens.set(token, { sessionId, issuedAt: now, isUsed: false });
    return token;
  }

  /** Checks and, if accepted, uses up. */
  use(
    token: string,
    sessionId: string,
    now: number,
    rules: { readonly tokenSingleUse: boolean; readonly tokenLifetimeMs: number },
  ): TokenVerdict {
    const issued = this.#tokens.get(token);
    if (issued === undefined || issued.sessionId !== sessionId) return 'unknown';
    if (rules.tokenLifetimeMs > 0 && now - issued.issuedAt > rules.tokenLifetimeMs) return 'expired';
    if (rules.tokenSingleUse && issued.isUsed) return 'used';
    issued.isUsed = true;
    return 'accepted';
  }

  /** A session has ended: none of its tokens opens anything any more. */
  revoke(sessionId: string): void {
    for (const [token, issued] of this.#tokens) {
      if (issued.sessionId === sessionId) this.#tokens.delete(token);
    }
  }
}
