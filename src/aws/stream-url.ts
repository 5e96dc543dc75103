/**
 * The signature of the stream URL's upgrade request (SigV4, service `ssmmessages`), as the official client makes it
 * since 1.2.764.0. The URL itself is never rewritten: `+`, `/` and `=` of `cell-number` stay as the service wrote
 * them, in the request line. Only the signature sees them re-encoded, the way Go's URL parser, and so the
 * service's expectation, reads them: a raw `+` is a space.
 */
import { Sha256 } from '@smithy/core/checksum';
import { SignatureV4 } from '@smithy/signature-v4';
import { ProxyError } from '../errors.ts';
import { splitUrl } from '../transport/raw-url.ts';
import type { AwsContext } from './context.ts';

/** A query that holds one of these is a signature already. */
const PRESIGNED = /^X-Amz-(?:Algorithm|Credential|Date|Expires|SignedHeaders|Signature|Security-Token)$/i;

/**
 * Headers that sign the upgrade request to exactly this URL, with the credentials of this moment. Undefined, which
 * means an unsigned request, for a presigned URL and where there are no credentials: the token in the first message
 * is what the service has always gone by.
 */
export async function signStreamUrl(
  context: AwsContext,
  url: string,
): Promise<Record<string, string> | undefined> {
  const target = splitUrl(url);
  if (target === undefined) return undefined;
  const { path, query } = splitPath(target.pathAndQuery);
  const parameters = parseQuery(query);
  if (Object.keys(parameters).some((name) => PRESIGNED.test(name))) {
    context.log.debug('unsigned', { reason: 'presigned' });
    return undefined;
  }
  try {
    const signer = new SignatureV4({
      credentials: await context.credentials(),
      region: context.region,
      service: 'ssmmessages',
      sha256: Sha256,
      // No x-amz-content-sha256: the official client sends none.
      applyChecksum: false,
    });
    const signed = await signer.sign(
      {
        method: 'GET',
        protocol: `${target.scheme}:`,
        hostname: target.hostname,
        path,
        query: parameters,
        headers: { host: target.hostHeader },
      },
      { signingDate: context.signingDate() },
    );
    // The WebSocket client writes the Host header itself, the same one.
    return Object.fromEntries(Object.entries(signed.headers).filter(([name]) => name !== 'host'));
  } catch (error) {
    context.log.warn('unsigned', { reason: error instanceof ProxyError ? error.code : 'signing failed' });
    return undefined;
  }
}

function splitPath(pathAndQuery: string): { path: string; query: string } {
  const mark = pathAndQuery.indexOf('?');
  if (mark < 0) return { path: pathAndQuery, query: '' };
  return { path: pathAndQuery.slice(0, mark), query: pathAndQuery.slice(mark + 1) };
}

/** Names to values, as Go's url.ParseQuery reads them: `+` is a space, a pair with a bad escape or a `;` is left out. */
function parseQuery(query: string): Record<string, string | string[]> {
  const parameters = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    if (pair === '' || pair.includes(';')) continue;
    const equals = pair.indexOf('=');
    const name = unescape(equals < 0 ? pair : pair.slice(0, equals));
    const value = unescape(equals < 0 ? '' : pair.slice(equals + 1));
    if (name === undefined || value === undefined) continue;
    parameters.set(name, [...(parameters.get(name) ?? []), value]);
  }
  return Object.fromEntries(
    [...parameters].map(([name, values]) => [name, values.length === 1 ? (values[0] ?? '') : values]),
  );
}

function unescape(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replace(/\+/g, ' '));
  } catch {
    return undefined;
  }
}
