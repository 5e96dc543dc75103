/** Stream URLs that carry their signature in the query: the client opens them without credentials of its own. */
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Identity } from './identities.ts';

export interface PresignOptions {
  readonly identity: Identity;
  readonly region: string;
  /** Milliseconds since the epoch, service time. */
  readonly wallNow: number;
  readonly expiresSeconds: number;
}

/** Appends the X-Amz-* parameters; what the URL holds already stays as it is, byte for byte. */
export async function presignChannelUrl(streamUrl: string, options: PresignOptions): Promise<string> {
  const { identity, region } = options;
  const url = new URL(streamUrl);
  const signer = new SignatureV4({
    service: 'ssmmessages',
    region,
    credentials: credentialsOf(identity),
    sha256: Sha256,
  });
  const signed = await signer.presign(
    {
      method: 'GET',
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      // A raw '+' counts as a space, as URLSearchParams reads it.
      query: Object.fromEntries(url.searchParams),
      headers: { host: url.host },
    },
    { signingDate: new Date(options.wallNow), expiresIn: options.expiresSeconds },
  );
  const added = Object.entries(signed.query ?? {}).filter(([name]) => name.startsWith('X-Amz-'));
  return `${streamUrl}&${added.map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`).join('&')}`;
}

function credentialsOf(identity: Identity) {
  return {
    accessKeyId: identity.accessKeyId,
    secretAccessKey: identity.secretAccessKey,
    ...(identity.sessionToken === undefined ? {} : { sessionToken: identity.sessionToken }),
  };
}
