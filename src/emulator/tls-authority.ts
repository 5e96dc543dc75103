/** A throwaway certificate authority and one server certificate of it. The private keys never leave memory. */
// The certificate library's own dependency injection needs this loaded before it.
import 'reflect-metadata';
import * as crypto from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { ServerCertificate } from './front-door.ts';

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 24 * 3_600_000;

export interface TlsMaterial extends ServerCertificate {
  /** PEM of the authority to trust. */
  readonly authority: string;
}

/** For 127.0.0.1, ::1 and localhost; valid from yesterday for a month. `wallNow`: ms since the epoch. */
export async function createTlsMaterial(wallNow: number): Promise<TlsMaterial> {
  const provider = crypto.webcrypto;
  const notBefore = new Date(wallNow - DAY_MS);
  const notAfter = new Date(wallNow + 30 * DAY_MS);
  const makeKeys = (): Promise<crypto.webcrypto.CryptoKeyPair> =>
    provider.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
  const authorityKeys = await makeKeys();
  const authority = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: crypto.randomBytes(8).toString('hex'),
      name: 'CN=ssm-proxy emulator throwaway CA',
      notBefore,
      notAfter,
      keys: authorityKeys,
      signingAlgorithm: KEY_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(authorityKeys.publicKey, false, provider),
      ],
    },
    provider,
  );
  const serverKeys = await makeKeys();
  const server = await x509.X509CertificateGenerator.create(
    {
      serialNumber: crypto.randomBytes(8).toString('hex'),
      subject: 'CN=localhost',
      issuer: authority.subject,
      notBefore,
      notAfter,
      publicKey: serverKeys.publicKey,
      signingKey: authorityKeys.privateKey,
      signingAlgorithm: KEY_ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth], false),
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: 'localhost' },
          { type: 'ip', value: '127.0.0.1' },
          { type: 'ip', value: '::1' },
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(authorityKeys.publicKey, false, provider),
      ],
    },
    provider,
  );
  const privateKey = Buffer.from(await provider.subtle.exportKey('pkcs8', serverKeys.privateKey));
  return {
    authority: `${authority.toString('pem')}\n`,
    certificate: `${server.toString('pem')}\n`,
    privateKey: x509.PemConverter.encode(privateKey, x509.PemConverter.PrivateKeyTag),
  };
}
