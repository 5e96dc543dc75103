/**
 * One API call: credentials, errors translated, and an end when the caller's signal says so, whatever the SDK is
 * doing. When AWS finds the credentials expired, they are read anew once, and the call is repeated if they differ.
 */
import { sinceStartMs } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import type { AwsContext } from './context.ts';
import type { AwsCredentials } from './credential-store.ts';
import { cancellation, translateAwsError } from './errors.ts';

export interface CallOptions {
  /** Ends the call: also its retries, and the wait for credentials. */
  readonly signal?: AbortSignal | undefined;
  /** True: one attempt, since the caller tries again by itself. Default: as AWS_MAX_ATTEMPTS says. */
  readonly isSingle?: boolean | undefined;
}

export interface CallSpec<T> {
  /** As AWS names it: `StartSession`. */
  readonly operation: string;
  /** Default: the context's credentials. */
  readonly credentials?: () => Promise<AwsCredentials>;
  readonly send: (credentials: AwsCredentials, abortSignal: AbortSignal) => Promise<T>;
}

/** Throws ProxyError only; when the caller's signal ends it, its reason if that is one, else CANCELLED. */
export async function call<T>(context: AwsContext, spec: CallSpec<T>, options: CallOptions): Promise<T> {
  const { operation } = spec;
  const signal = options.signal ?? new AbortController().signal;
  if (signal.aborted) throw cancellation(signal, operation);
  const startedAt = sinceStartMs();
  const elapsedMs = (): number => Math.round(sinceStartMs() - startedAt);
  let onAbort = (): void => {};
  // Neither a credential_process nor a wait between two attempts ends by itself when the signal does.
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(cancellation(signal, operation));
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    const answer = await Promise.race([attempt(context, spec, signal), aborted]);
    context.log.debug('call', { operation, region: context.region, ms: elapsedMs() });
    return answer;
  } catch (error) {
    const failure = signal.aborted
      ? cancellation(signal, operation)
      : translateAwsError(error, operation, context.network);
    const { code, message } = failure;
    context.log.debug('call-failed', { operation, region: context.region, code, message, ms: elapsedMs() });
    throw failure;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function attempt<T>(context: AwsContext, spec: CallSpec<T>, signal: AbortSignal): Promise<T> {
  const credentials = await (spec.credentials ?? context.credentials)();
  try {
    return await spec.send(credentials, signal);
  } catch (error) {
    // The client has set its clock by the answer; with single attempts nobody else would use that.
    if (isClockSkewCorrected(error) && !signal.aborted) return spec.send(credentials, signal);
    const failure = translateAwsError(error, spec.operation, context.network);
    if (failure.code !== 'CREDENTIALS_EXPIRED' || signal.aborted) throw failure;
    const renewed = await renewedCredentials(context, credentials);
    if (renewed === undefined) throw failure;
    return spec.send(renewed, signal);
  }
}

/** Undefined when the sources have nothing new: AWS's own words about the old ones are then the better error. */
async function renewedCredentials(
  context: AwsContext,
  old: AwsCredentials,
): Promise<AwsCredentials | undefined> {
  try {
    const renewed = await context.freshCredentials();
    const isSame = renewed.accessKeyId === old.accessKeyId && renewed.sessionToken === old.sessionToken;
    return isSame ? undefined : renewed;
  } catch (error) {
    // An expired login explains more than the expired keys that came from it.
    if (error instanceof ProxyError && error.code === 'CREDENTIALS_EXPIRED') throw error;
    return undefined;
  }
}

function isClockSkewCorrected(error: unknown): boolean {
  if (!(error instanceof Error) || !('$metadata' in error)) return false;
  const { $metadata: metadata } = error;
  return typeof metadata === 'object' && metadata !== null && 'clockSkewCorrected' in metadata;
}
