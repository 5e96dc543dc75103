/** An HTTP request as the API needs it: raw URL, joined headers, whole body. */
import type { IncomingMessage } from 'node:http';
import type { SignedRequest } from './sigv4.ts';

/** No AWS request of ours comes near. */
const MAX_BODY_BYTES = 1024 * 1024;

/** Reads the body. Resolves to 'too-large' (the rest is read and forgotten), or undefined when the client goes away. */
export async function readRequest(
  request: IncomingMessage,
): Promise<SignedRequest | 'too-large' | undefined> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of request as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes <= MAX_BODY_BYTES) parts.push(part);
    }
  } catch {
    return undefined;
  }
  if (bytes > MAX_BODY_BYTES) return 'too-large';
  return {
    method: request.method ?? 'GET',
    rawUrl: request.url ?? '/',
    headers: joinedHeaders(request),
    body: Buffer.concat(parts),
  };
}

/** Headers with lower-case names; repeated ones joined with a comma, as the signature wants them. */
export function joinedHeaders(request: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(',') : value;
  }
  return headers;
}
