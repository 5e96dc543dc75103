/**
 * Verifies AWS Signature Version 4, in headers or in the query (presigned): the signature is computed again with
 * the stored secret over exactly the headers that the client says it signed, and compared.
 *
 * The canonical query decodes '+' as a space, as the service's own signer library does; a client that signs it as
 * '%2B' does not match.
 */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import * as crypto from 'node:crypto';
import type { Identities, Identity } from '../identities.ts';

export interface SignedRequest {
  readonly method: string;
  /** Path and query as on the request line. */
  readonly rawUrl: string;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export type SignatureForm = 'header' | 'query' | 'none';

export interface Scope {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

type PlainProblem = 'unknown-key' | 'wrong-token' | 'expired-token' | 'wrong-signature' | 'expired-url';

export type SignatureProblem =
  | { readonly kind: 'missing' | PlainProblem }
  /** `detail` is AWS's sentence: about the header, the two times, or the credential's scope. */
  | { readonly kind: 'malformed' | 'clock-skew' | 'wrong-scope'; readonly detail: string };

export type SignatureCheck =
  | { readonly identity: Identity; readonly scope: Scope; readonly problem?: undefined }
  | { readonly problem: SignatureProblem; readonly scope: Scope | undefined };

interface Claim {
  readonly form: 'header' | 'query';
  readonly scope: Scope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** 'YYYYMMDDTHHMMSSZ'. */
  readonly longDate: string;
  readonly token: string | undefined;
  /** Presigned only. */
  readonly expiresSeconds: number;
}

const MAX_SKEW_MS = 5 * 60_000;
const PRESIGN_PARAMETERS = [
  'X-Amz-Algorithm',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
  'X-Amz-Security-Token',
];

/** Where the signature is, without checking it. */
export function signatureForm(request: Pick<SignedRequest, 'rawUrl' | 'headers'>): SignatureForm {
  if (request.headers['authorization'] !== undefined) return 'header';
  return splitUrl(request.rawUrl).query.has('X-Amz-Signature') ? 'query' : 'none';
}

/** `wallNow`: the service's wall clock, ms since the epoch. */
export async function checkSignature(
  request: SignedRequest,
  identities: Identities,
  wallNow: number,
): Promise<SignatureCheck> {
  const claim = readClaim(request);
  if ('kind' in claim) return { problem: claim, scope: undefined };
  const { scope } = claim;
  const problem = (kind: PlainProblem): SignatureCheck => ({
    problem: { kind },
    scope,
  });
  const identity = identities.find(scope.accessKeyId);
  if (identity === undefined) return problem('unknown-key');
  if (identity.sessionToken !== claim.token) return problem('wrong-token');
  if (identity.expiresAt !== undefined && identity.expiresAt <= wallNow) return problem('expired-token');
  const skew = checkTime(claim, wallNow);
  if (skew !== undefined) return { problem: skew, scope };
  const expected = await computeSignature(request, claim, identity);
  const given = Buffer.from(claim.signature, 'latin1');
  if (given.length !== expected.length || !crypto.timingSafeEqual(given, expected))
    return problem('wrong-signature');
  return { identity, scope };
}

function readClaim(request: SignedRequest): Claim | SignatureProblem {
  const form = signatureForm(request);
  if (form === 'none') return { kind: 'missing' };
  return form === 'header' ? readHeaderClaim(request) : readQueryClaim(request);
}

function readHeaderClaim(request: SignedRequest): Claim | SignatureProblem {
  const authorization = request.headers['authorization'] ?? '';
  const [algorithm, ...rest] = authorization.split(' ');
  if (algorithm !== 'AWS4-HMAC-SHA256')
    return malformed(`Unsupported AWS 'algorithm': '${algorithm ?? ''}'.`);
  const fields = new Map<string, string>();
  for (const part of rest.join(' ').split(',')) {
    const equals = part.indexOf('=');
    if (equals > 0) fields.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const credential = fields.get('Credential');
  const signedHeaders = fields.get('SignedHeaders');
  const signature = fields.get('Signature');
  const longDate = request.headers['x-amz-date'];
  if (credential === undefined) return malformed("Authorization header requires 'Credential' parameter.");
  if (signature === undefined) return malformed("Authorization header requires 'Signature' parameter.");
  if (signedHeaders === undefined)
    return malformed("Authorization header requires 'SignedHeaders' parameter.");
  if (longDate === undefined) {
    return malformed("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  const scope = readScope(credential);
  if ('kind' in scope) return scope;
  const token = request.headers['x-amz-security-token'];
  return {
    form: 'header',
    scope,
    signedHeaders: signedHeaders.split(';'),
    signature,
    longDate,
    token,
    expiresSeconds: 0,
  };
}

function readQueryClaim(request: SignedRequest): Claim | SignatureProblem {
  const { query } = splitUrl(request.rawUrl);
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256')
    return malformed('AWS query-string parameters must include X-Amz-Algorithm.');
  const scope = readScope(query.get('X-Amz-Credential') ?? '');
  if ('kind' in scope) return scope;
  const expiresSeconds = Number(query.get('X-Amz-Expires') ?? Number.NaN);
  const longDate = query.get('X-Amz-Date');
  const signedHeaders = query.get('X-Amz-SignedHeaders');
  if (!Number.isSafeInteger(expiresSeconds) || longDate === null || signedHeaders === null) {
    return malformed(
      'AWS query-string parameters must include X-Amz-Date, X-Amz-Expires and X-Amz-SignedHeaders.',
    );
  }
  return {
    form: 'query',
    scope,
    signedHeaders: signedHeaders.split(';'),
    signature: query.get('X-Amz-Signature') ?? '',
    longDate,
    token: query.get('X-Amz-Security-Token') ?? undefined,
    expiresSeconds,
  };
}

function readScope(credential: string): Scope | SignatureProblem {
  const [accessKeyId, date, region, service, terminator, ...more] = credential.split('/');
  if (
    accessKeyId === undefined ||
    date === undefined ||
    region === undefined ||
    service === undefined ||
    terminator !== 'aws4_request' ||
    more.length > 0
  ) {
    return malformed(`Credential must have exactly 5 slash-delimited elements, got '${credential}'.`);
  }
  return { accessKeyId, date, region, service };
}

function checkTime(claim: Claim, wallNow: number): SignatureProblem | undefined {
  const signedAt = parseLongDate(claim.longDate);
  if (signedAt === undefined)
    return malformed(`Date must be in ISO-8601 'basic format'. Got '${claim.longDate}'.`);
  if (!claim.longDate.startsWith(claim.scope.date))
    return malformed('Date in Credential scope does not match YYYYMMDD from the request.');
  const now = formatLongDate(wallNow);
  if (claim.form === 'query') {
    if (signedAt + claim.expiresSeconds * 1000 < wallNow) return { kind: 'expired-url' };
  } else if (signedAt < wallNow - MAX_SKEW_MS) {
    const limit = formatLongDate(wallNow - MAX_SKEW_MS);
    return {
      kind: 'clock-skew',
      detail: `Signature expired: ${claim.longDate} is now earlier than ${limit} (${now} - 5 min.)`,
    };
  }
  if (signedAt > wallNow + MAX_SKEW_MS) {
    const limit = formatLongDate(wallNow + MAX_SKEW_MS);
    return {
      kind: 'clock-skew',
      detail: `Signature not yet current: ${claim.longDate} is still later than ${limit} (${now} + 5 min.)`,
    };
  }
  return undefined;
}

/** The signature this request should have, as bytes of its hexadecimal text. */
async function computeSignature(request: SignedRequest, claim: Claim, identity: Identity): Promise<Buffer> {
  const { path, query } = splitUrl(request.rawUrl);
  const parameters: Record<string, string | string[]> = {};
  for (const name of new Set(query.keys())) {
    if (claim.form === 'query' && PRESIGN_PARAMETERS.includes(name)) continue;
    const values = query.getAll(name);
    parameters[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  const headers: Record<string, string> = {};
  for (const name of claim.signedHeaders) {
    const value = request.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  const bodyHash = crypto.createHash('sha256').update(request.body).digest('hex');
  // The signer believes this header; we do not.
  const claimedHash = headers['x-amz-content-sha256'];
  if (claimedHash !== undefined && claimedHash !== bodyHash) return Buffer.alloc(0);
  const signer = new SignatureV4({
    service: claim.scope.service,
    region: claim.scope.region,
    // The token is among the signed headers already, as the client sent it.
    credentials: {
      accessKeyId: identity.accessKeyId,
      secretAccessKey: identity.secretAccessKey,
      ...(claim.form === 'query' && claim.token !== undefined ? { sessionToken: claim.token } : {}),
    },
    sha256: Sha256,
    applyChecksum: false,
  });
  const signingDate = new Date(parseLongDate(claim.longDate) ?? 0);
  const unsigned = {
    method: request.method,
    protocol: 'https:',
    hostname: '',
    path,
    query: parameters,
    headers,
    body: request.body.length === 0 ? undefined : request.body,
  };
  const signableHeaders = new Set(claim.signedHeaders);
  if (claim.form === 'query') {
    const signed = await signer.presign(unsigned, {
      signingDate,
      signableHeaders,
      expiresIn: claim.expiresSeconds,
    });
    return Buffer.from(String(signed.query?.['X-Amz-Signature'] ?? ''), 'latin1');
  }
  const signed = await signer.sign(unsigned, { signingDate, signableHeaders });
  return Buffer.from(
    /Signature=([0-9a-f]+)/.exec(signed.headers['authorization'] ?? '')?.[1] ?? '',
    'latin1',
  );
}

/** Path and query of a request line; '+' in the query is a space. */
export function splitUrl(rawUrl: string): { readonly path: string; readonly query: URLSearchParams } {
  const mark = rawUrl.indexOf('?');
  if (mark < 0) return { path: rawUrl, query: new URLSearchParams() };
  return { path: rawUrl.slice(0, mark), query: new URLSearchParams(rawUrl.slice(mark + 1)) };
}

/** 'YYYYMMDDTHHMMSSZ' of ms since the epoch. */
export function formatLongDate(wallMs: number): string {
  return `${new Date(wallMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

function parseLongDate(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
}

function malformed(detail: string): SignatureProblem {
  return { kind: 'malformed', detail };
}
