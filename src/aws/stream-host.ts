/** Where the data channel goes: the host that StartSession names, or the one that the settings name instead. */
import { ProxyError } from '../errors.ts';
import { splitUrl } from '../transport/raw-url.ts';
import type { AwsContext } from './context.ts';

/** Replaces scheme, host and port of `streamUrl` by those of `endpoint`; the rest stays byte for byte. */
export function replaceStreamHost(streamUrl: string, endpoint: string | undefined): string {
  if (endpoint === undefined) return streamUrl;
  const target = splitUrl(endpoint);
  const stream = splitUrl(streamUrl);
  if (target === undefined || stream === undefined) {
    throw new ProxyError('CONFIG_INVALID', 'the ssmmessages endpoint or the stream URL is not a URL');
  }
  if (target.pathAndQuery !== '/') {
    throw new ProxyError(
      'CONFIG_INVALID',
      `the ssmmessages endpoint ${target.hostHeader} has a path, which is not possible`,
      {
        hint: 'write it as https://host or https://host:port',
      },
    );
  }
  const scheme = target.scheme === 'http' || target.scheme === 'ws' ? 'ws' : 'wss';
  return `${scheme}://${target.authority}${stream.pathAndQuery}`;
}

/** The stream URL to open: as granted, or with the host that `--ssmmessages-endpoint` and its like name. */
export function effectiveStreamUrl(context: AwsContext, streamUrl: string): string {
  return replaceStreamHost(streamUrl, context.endpoint('SSMMESSAGES'));
}
