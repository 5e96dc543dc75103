/** What -L and -D say. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDynamicForward, parseLocalForward } from '../../src/cli/forward-rules.ts';
import { asProxyError } from '../../src/errors.ts';

const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });
const unix = (path: string) => ({ kind: 'unix', path });

describe('-L', () => {
  const cases = [
    ['8080:80', tcp('127.0.0.1', 8080), { host: undefined, port: 80 }],
    ['0:80', tcp('127.0.0.1', 0), { host: undefined, port: 80 }],
    ['5432:db.internal:5432', tcp('127.0.0.1', 5432), { host: 'db.internal', port: 5432 }],
    ['8080:localhost:80', tcp('127.0.0.1', 8080), { host: undefined, port: 80 }],
    ['8080:10.0.0.5:80', tcp('127.0.0.1', 8080), { host: '10.0.0.5', port: 80 }],
    ['0.0.0.0:8080:80', tcp('0.0.0.0', 8080), { host: undefined, port: 80 }],
    ['localhost:8080:db:80', tcp('localhost', 8080), { host: 'db', port: 80 }],
    ['*:8080:db:80', tcp('*', 8080), { host: 'db', port: 80 }],
    [':8080:80', tcp('*', 8080), { host: undefined, port: 80 }],
    ['[::1]:8080:[fd00::5]:80', tcp('::1', 8080), { host: 'fd00::5', port: 80 }],
    ['8080:[fd00::5]:80', tcp('127.0.0.1', 8080), { host: 'fd00::5', port: 80 }],
    ['8080:[::1]:80', tcp('127.0.0.1', 8080), { host: undefined, port: 80 }],
    ['local.sock:80', unix('local.sock'), { host: undefined, port: 80 }],
    ['./local:80', unix('./local'), { host: undefined, port: 80 }],
    ['/run/db.sock:db:5432', unix('/run/db.sock'), { host: 'db', port: 5432 }],
    ['/run/db:5432:80', unix('/run/db'), { host: '5432', port: 80 }],
  ] as const;
  for (const [text, listen, to] of cases) {
    test(text, () => assert.deepEqual(parseLocalForward(text), { kind: 'local', listen, to }));
  }

  for (const text of [
    '8080',
    '8080:',
    ':80',
    '8080:db:',
    '8080::80',
    '8080:99999',
    '99999:80',
    'a:b:c:d:e',
  ]) {
    test(`${text} cannot be used`, () => usage(() => parseLocalForward(text)));
  }
  for (const text of [
    '[::1:80',
    '::1]:80:80',
    '[::1]x:80:80',
    '8080:0',
    '8080:http',
    '-1:80',
    'localhost:80',
  ]) {
    test(`${text} cannot be used`, () => usage(() => parseLocalForward(text)));
  }
});

describe('-D', () => {
  const cases = [
    ['1080', tcp('127.0.0.1', 1080)],
    ['0', tcp('127.0.0.1', 0)],
    ['*:1080', tcp('*', 1080)],
    ['[::1]:1080', tcp('::1', 1080)],
  ] as const;
  for (const [text, listen] of cases) {
    test(text, () => assert.deepEqual(parseDynamicForward(text), { kind: 'socks', listen }));
  }
  for (const text of ['', 'x', '1:2:3', 'localhost:', '70000']) {
    test(`${JSON.stringify(text)} cannot be used`, () => usage(() => parseDynamicForward(text)));
  }
});

function usage(parse: () => unknown): void {
  assert.throws(parse, (error: unknown) => asProxyError(error).code === 'USAGE');
}
