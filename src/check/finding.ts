/** What a check has found: one line of the report, with what to do about it. */
import { ProxyError, asProxyError } from '../errors.ts';

export const LEVELS = ['ok', 'warning', 'failed', 'skipped'] as const;
/** `skipped`: it could not be told, because of what stands before it. */
export type Level = (typeof LEVELS)[number];

export interface Finding {
  /** Stable, for programs: `credentials.identity`. */
  readonly id: string;
  readonly level: Level;
  /** What it is about, in a few words. */
  readonly what: string;
  /** What was seen. */
  readonly seen: string;
  /** What to do, to the letter where that is possible. */
  readonly fix?: string | undefined;
  readonly mend?: Mend | undefined;
}

/** What can be done about it from here, once somebody has agreed. */
export type Mend =
  | { readonly kind: 'attach-policy'; readonly roleName: string; readonly policyArn: string }
  | { readonly kind: 'sso-login'; readonly profile: string }
  /** Write what `ssm-proxy ssh-config` prints into the user's ssh files. */
  | { readonly kind: 'ssh-config' };

export const ok = (id: string, what: string, seen: string): Finding => ({ id, level: 'ok', what, seen });

export const warning = (id: string, what: string, seen: string, fix?: string): Finding => ({
  ...{ id, level: 'warning', what, seen, fix },
});

export const failed = (id: string, what: string, seen: string, fix?: string): Finding => ({
  ...{ id, level: 'failed', what, seen, fix },
});

export const skipped = (id: string, what: string, seen: string): Finding => ({
  ...{ id, level: 'skipped', what, seen },
});

/** A failure in its own words. */
export function failure(id: string, what: string, thrown: unknown): Finding {
  const { code, message, hint } = asProxyError(thrown);
  return failed(id, what, `${message} [${code}]`, hint);
}

/** The code of an error of ours; undefined for others. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof ProxyError ? thrown.code : undefined;
}
