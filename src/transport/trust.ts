/**
 * Which certificate authorities TLS connections trust: Node's own, and the file that AWS_CA_BUNDLE (or `ca_bundle`
 * of the profile) names.
 *
 * In the AWS CLI the bundle replaces the default roots. Here it is added to them: companies give their users a
 * bundle that holds just the CA of the inspecting proxy, and hosts that NO_PROXY or a VPC endpoint takes past that
 * proxy still show Amazon's own chain. Whatever works with the CLI works here; nobody has to merge files.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { ProxyError } from '../errors.ts';

/** What a secure context is made of in C++; not documented, so it is looked for before it is used. */
interface NativeContext {
  addCACert(pem: string): void;
}

/**
 * The trust for a bundle file; undefined without one: Node's default (NODE_EXTRA_CA_CERTS included) then applies.
 * Costs as much as Node's default does, about 30 ms of CPU time for the first one of a process, and is meant to be shared.
 * `extraFile` is the value of NODE_EXTRA_CA_CERTS. CONFIG_INVALID names a file that cannot be read or holds no
 * certificate.
 */
export function loadTrust(
  bundleFile: string | undefined,
  extraFile: string | undefined,
): tls.SecureContext | undefined {
  if (bundleFile === undefined) return undefined;
  const bundle = readBundle(bundleFile);
  const standard = tls.createSecureContext();
  const native: unknown = standard.context;
  if (isNativeContext(native)) {
    // Added to a copy of the roots, which are parsed once; a list of texts would have all of them parsed again.
    native.addCACert(bundle);
    return standard;
  }
  const authorities = [...tls.rootCertificates, bundle];
  // Node forgets this one as soon as a list of authorities is given.
  if (extraFile !== undefined && extraFile !== bundleFile) authorities.push(...readExtra(extraFile));
  return tls.createSecureContext({ ca: authorities });
}

function isNativeContext(value: unknown): value is NativeContext {
  return (
    typeof value === 'object' &&
    value !== null &&
    'addCACert' in value &&
    typeof value.addCACert === 'function'
  );
}

function readBundle(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw invalidBundle(file, `cannot be read (${code})`, error);
  }
  if (!/-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----/.test(text)) {
    throw invalidBundle(file, 'holds no PEM certificate', undefined);
  }
  try {
    // Looks at the first one: TLS contexts skip what they cannot parse without a word.
    new X509Certificate(text);
  } catch (error) {
    throw invalidBundle(file, 'holds a certificate that cannot be parsed', error);
  }
  return text;
}

/** Node itself only warns about an unreadable NODE_EXTRA_CA_CERTS, and has done so already. */
function readExtra(file: string): string[] {
  try {
    return [readFileSync(file, 'latin1')];
  } catch {
    return [];
  }
}

function invalidBundle(file: string, what: string, cause: unknown): ProxyError {
  return new ProxyError('CONFIG_INVALID', `the CA bundle ${file} ${what}`, {
    hint: 'AWS_CA_BUNDLE (or ca_bundle in the profile) must name a PEM file with certificates',
    cause,
  });
}
