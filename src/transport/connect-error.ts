/**
 * Why a connection could not be made, in words: for API calls and for the data channel. Only the host is named; a
 * stream URL's path and query are secrets.
 */
import { ProxyError, firstLine } from '../errors.ts';
import { splitUrl } from './raw-url.ts';

const UNTRUSTED: ReadonlySet<string> = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

const UNREACHABLE: Readonly<Record<string, string>> = {
  EAI_AGAIN: 'the name server does not answer',
  EAI_FAIL: 'the name cannot be resolved',
  EAI_NODATA: 'the name has no address',
  EAI_NONAME: 'the name does not exist',
  ECONNABORTED: 'connection aborted',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTDOWN: 'host is down',
  EHOSTUNREACH: 'no route to the host',
  ENETDOWN: 'the network is down',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'the name does not exist',
  EPIPE: 'connection closed',
  ETIMEDOUT: 'timed out',
  ERR_SOCKET_CONNECTION_TIMEOUT: 'timed out',
  TimeoutError: 'timed out',
};

/** `code` of the error for an HTTP proxy that refuses CONNECT. */
export const PROXY_REFUSED = 'ERR_PROXY_REFUSED';

const NOT_TLS = /^(EPROTO|ERR_SSL_|ERR_TLS_)/;

/**
 * True if trying again cannot help: the endpoint does not speak TLS, or the HTTP proxy refuses (a 5xx of the proxy is
 * trouble that may pass).
 */
export function isLasting(error: unknown): boolean {
  const code = systemCode(error);
  if (code === PROXY_REFUSED) return /answered 4\d\d$/.test(detail(rootOf(error)));
  return code !== undefined && NOT_TLS.test(code);
}

/** The innermost cause. */
function rootOf(error: unknown): unknown {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error && current.cause instanceof Error; depth += 1) {
    current = current.cause;
  }
  return current;
}

/** `code` (or, without one, `name`) of an error or of one that caused it. */
export function systemCode(error: unknown): string | undefined {
  let current = error;
  // Bounded: a cause can point back at its effect.
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    if ('code' in current && typeof current.code === 'string') return current.code;
    if (current.name === 'TimeoutError') return 'TimeoutError';
    const inner: unknown = current instanceof AggregateError ? current.errors[0] : undefined;
    current = inner ?? current.cause;
  }
  return undefined;
}

/**
 * ENDPOINT_UNREACHABLE, TLS_UNTRUSTED or CONFIG_INVALID (a refusing proxy) for an error of DNS, TCP, TLS or the HTTP
 * proxy; undefined for anything else. `url` is where the connection was to go, `proxy` (`host:port`) what through.
 */
export function connectErrorOf(error: unknown, url: string, proxy?: string): ProxyError | undefined {
  const code = systemCode(error);
  if (code === undefined) return undefined;
  const target = splitUrl(url);
  const host = target === undefined ? 'the AWS endpoint' : `${target.hostname}:${String(target.port)}`;
  const where = proxy === undefined ? host : `${host} through the HTTP proxy ${proxy}`;
  const reason = UNREACHABLE[code];
  if (reason !== undefined) {
    return new ProxyError('ENDPOINT_UNREACHABLE', `cannot reach ${where}: ${reason} (${code})`, {
      hint: unreachableHint(code, proxy),
      cause: error,
    });
  }
  if (UNTRUSTED.has(code)) {
    return new ProxyError(
      'TLS_UNTRUSTED',
      `the TLS certificate of ${where} is not trusted: ${detail(error)} (${code})`,
      {
        hint: 'if a company proxy inspects TLS, put its CA certificate in a file and name it in AWS_CA_BUNDLE or NODE_EXTRA_CA_CERTS',
        cause: error,
      },
    );
  }
  if (code === PROXY_REFUSED) {
    return new ProxyError('ENDPOINT_UNREACHABLE', `cannot reach ${host}: ${detail(error)}`, {
      hint: 'check user and password in HTTPS_PROXY and what the proxy permits, or add the host to NO_PROXY',
      cause: error,
    });
  }
  if (NOT_TLS.test(code)) {
    return new ProxyError(
      'ENDPOINT_UNREACHABLE',
      `no TLS connection to ${where}: ${detail(error)} (${code})`,
      {
        hint: 'check that the endpoint speaks TLS on this port, and that no proxy or firewall cuts TLS',
        cause: error,
      },
    );
  }
  return undefined;
}

/** As `connectErrorOf`, with CHANNEL_OPEN_FAILED for what it does not know. For the data channel. */
export function translateConnectError(error: unknown, url: string, proxy?: string): ProxyError {
  if (error instanceof ProxyError) return error;
  const known = connectErrorOf(error, url, proxy);
  if (known !== undefined) return known;
  const host = splitUrl(url)?.hostHeader ?? 'the service';
  return new ProxyError('CHANNEL_OPEN_FAILED', `the data channel to ${host} failed: ${detail(error)}`, {
    cause: error,
  });
}

function detail(error: unknown): string {
  return firstLine(error instanceof Error ? error.message : String(error));
}

function unreachableHint(code: string, proxy: string | undefined): string {
  if (proxy !== undefined)
    return `check that the HTTP proxy ${proxy} is reachable, or add the host to NO_PROXY`;
  if (code.startsWith('EAI_') || code === 'ENOTFOUND') {
    return 'check the network, the region and the endpoint settings';
  }
  return 'check the network, HTTPS_PROXY, and that a firewall or security group lets port 443 through';
}
