/** What a refused WebSocket upgrade says: a bounded look at the HTTP answer's body, for the error message. */
import type { IncomingMessage } from 'node:http';
import { ProxyError, firstLine } from '../errors.ts';
import { splitUrl } from './raw-url.ts';

/** The rest of a longer page is not read. */
const MAX_BODY_BYTES = 4096;
/** A server that sends its status and then stalls is not waited for. Milliseconds. */
const BODY_TIMEOUT_MS = 2_000;
const MAX_TEXT_LENGTH = 300;

/** Calls back exactly once, with ACCESS_DENIED for 401 and 403 and CHANNEL_OPEN_FAILED for the rest. */
export function readRefusal(
  response: IncomingMessage,
  url: string,
  callback: (error: ProxyError) => void,
): void {
  const chunks: Buffer[] = [];
  let size = 0;
  const done = (): void => {
    clearTimeout(timer);
    response.removeAllListeners('data');
    response.removeListener('close', done);
    callback(refusalError(response, url, Buffer.concat(chunks).toString('utf8')));
  };
  const timer = setTimeout(done, BODY_TIMEOUT_MS);
  // An answer cut short is as good as a whole one; 'close' follows.
  response.on('error', () => undefined);
  response.on('data', (chunk: Buffer) => {
    chunks.push(chunk.subarray(0, MAX_BODY_BYTES - size));
    size += chunk.length;
    if (size >= MAX_BODY_BYTES) done();
  });
  response.once('close', done);
}

function refusalError(response: IncomingMessage, url: string, body: string): ProxyError {
  const status = response.statusCode ?? 0;
  const host = splitUrl(url)?.hostHeader ?? 'the service';
  const text = describeBody(body) || response.statusMessage || '';
  const message = `the data channel was refused by ${host}: HTTP ${String(status)} ${text}`.trim();
  if (status === 401 || status === 403) {
    return new ProxyError('ACCESS_DENIED', message, {
      hint: 'the credentials need ssmmessages:OpenDataChannel on arn:aws:ssm:*:*:session/${aws:userid}-*',
    });
  }
  return new ProxyError('CHANNEL_OPEN_FAILED', message, {
    hint: 'try again; if it stays, check ssmmessages endpoint settings and proxies',
  });
}

/** The message of AWS's JSON or XML, else the first line of plain text; nothing of an HTML page. */
function describeBody(body: string): string {
  const json = /"(?:message|Message)"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(body)?.[1];
  const xml = /<Message>([^<]*)<\/Message>/i.exec(body)?.[1];
  const text = json ?? xml ?? (/^\s*[<{]/.test(body) ? '' : firstLine(body));
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MAX_TEXT_LENGTH);
}
