/**
 * URLs as they are written. A stream URL carries characters (`+`, `/`, `=` in `cell-number`) that must reach the
 * service byte for byte, so it is cut into pieces here and never re-serialised; the WHATWG parser is asked only
 * for what names the host.
 */

export interface RawUrl {
  /** Lower case, without the colon: `wss`. */
  readonly scheme: string;
  /** As written: host with port, possibly with user information. */
  readonly authority: string;
  /** Path and query as written, with a leading slash; no fragment. */
  readonly pathAndQuery: string;
  /** What the Host header says: lower case, the port only when it is not the scheme's own. */
  readonly hostHeader: string;
  /** Host without port and brackets, lower case. */
  readonly hostname: string;
  /** Port in use, the scheme's own if none is written. */
  readonly port: number;
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, ws: 80, https: 443, wss: 443 };
/** Visible ASCII: anything else could end the request line early, or be re-encoded on the way. */
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/** Undefined for what is not an http(s) or ws(s) URL, holds user information or a fragment, or is not visible ASCII. */
export function splitUrl(url: string): RawUrl | undefined {
  if (!VISIBLE_ASCII.test(url)) return undefined;
  const match = /^([a-z]+):\/\/([^/?#@\\]+)((?:[/?][^#\\]*)?)$/i.exec(url);
  const scheme = match?.[1]?.toLowerCase();
  const authority = match?.[2];
  if (match === null || scheme === undefined || authority === undefined) return undefined;
  const defaultPort = DEFAULT_PORTS[scheme];
  if (defaultPort === undefined) return undefined;
  let parsed: URL;
  try {
    parsed = new URL(`${scheme}://${authority}/`);
  } catch {
    return undefined;
  }
  const rest = match[3] ?? '';
  return {
    scheme,
    authority,
    pathAndQuery: rest.startsWith('/') ? rest : `/${rest}`,
    hostHeader: parsed.host,
    hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? defaultPort : Number(parsed.port),
  };
}

/** True for this machine itself: `localhost`, 127.0.0.0/8 and ::1. The host without brackets. */
export function isLoopback(hostname: string): boolean {
  const host = hostname.toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost') || host === '::1') return true;
  return /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
