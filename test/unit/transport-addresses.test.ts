/** URLs taken apart, and the choice of the proxy for them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chooseProxy, isExempt } from '../../src/transport/proxy-choice.ts';
import { isLoopback, splitUrl } from '../../src/transport/raw-url.ts';

describe('a URL', () => {
  it('keeps path and query as they are written', () => {
    const rest = '/v1/a%2fB@c//./x?cell-number=ab+/c==&x=%zz&y="<>';
    assert.deepEqual(splitUrl(`WSS://Host.Example.com:8443${rest}`), {
      scheme: 'wss',
      authority: 'Host.Example.com:8443',
      pathAndQuery: rest,
      hostHeader: 'host.example.com:8443',
      hostname: 'host.example.com',
      port: 8443,
    });
  });

  const rows: readonly (readonly [string, string, string, number])[] = [
    ['https://h', 'h', '/', 443],
    ['http://h?q', 'h', '/?q', 80],
    ['wss://h:443/x', 'h', '/x', 443],
    ['ws://[2001:DB8::1]:80/', '[2001:db8::1]', '/', 80],
    ['ws://127.1/', '127.0.0.1', '/', 80],
  ];
  for (const [url, hostHeader, pathAndQuery, port] of rows) {
    it(`${url} has the host header ${hostHeader} and port ${String(port)}`, () => {
      const split = splitUrl(url);
      assert.deepEqual(
        [split?.hostHeader, split?.pathAndQuery, split?.port],
        [hostHeader, pathAndQuery, port],
      );
    });
  }

  const refused = [
    '',
    'host/path',
    'ftp://h/',
    'wss:///x',
    'wss://h/#fragment',
    'wss://user@h/',
    'wss://user:password@h/',
    'wss://h/a b',
    'wss://h/a\r\nX: y',
    'wss://h/ü',
    'wss://h\\@other/',
    'wss://h/\\x',
    'wss://h:99999/',
  ];
  for (const url of refused) {
    it(`${JSON.stringify(url)} is none of ours`, () => {
      assert.equal(splitUrl(url), undefined);
    });
  }

  it('is on loopback for this machine only', () => {
    const inside = ['localhost', 'LOCALHOST', 'a.localhost', '127.0.0.1', '127.255.0.1', '::1'];
    const outside = [
      'localhost.example.com',
      '128.0.0.1',
      '10.0.0.1',
      '::2',
      '0.0.0.0',
      '127.example.com',
      '',
    ];
    assert.deepEqual(
      inside.filter((host) => !isLoopback(host)),
      [],
    );
    assert.deepEqual(
      outside.filter((host) => isLoopback(host)),
      [],
    );
  });
});

describe('the proxy', () => {
  const rows: readonly (readonly [string, string, Record<string, string>, string | undefined])[] = [
    ['none without a variable', 'https://h.example.com', {}, undefined],
    ['HTTPS_PROXY for https', 'https://h.example.com', { HTTPS_PROXY: 'http://p:1' }, 'http://p:1/'],
    [
      'HTTPS_PROXY for wss',
      'wss://h.example.com',
      { HTTPS_PROXY: 'http://p:1', WSS_PROXY: 'http://q:1' },
      'http://p:1/',
    ],
    ['HTTP_PROXY for http only', 'https://h.example.com', { HTTP_PROXY: 'http://p:1' }, undefined],
    ['HTTP_PROXY for ws', 'ws://h.example.com', { HTTP_PROXY: 'http://p:1' }, 'http://p:1/'],
    [
      'lower case first',
      'https://h.example.com',
      { HTTPS_PROXY: 'http://p:1', https_proxy: 'http://q:1' },
      'http://q:1/',
    ],
    ['ALL_PROXY last', 'https://h.example.com', { ALL_PROXY: 'http://p:1' }, 'http://p:1/'],
    [
      'http is the scheme of a proxy without one',
      'https://h.example.com',
      { HTTPS_PROXY: 'p:3128' },
      'http://p:3128/',
    ],
    ['an empty variable is none', 'https://h.example.com', { https_proxy: ' ', HTTPS_PROXY: '' }, undefined],
    [
      'never for localhost',
      'http://localhost:4566',
      { HTTP_PROXY: 'http://p:1', ALL_PROXY: 'http://p:1' },
      undefined,
    ],
    ['never for ::1', 'http://[::1]:4566', { HTTP_PROXY: 'http://p:1' }, undefined],
    [
      'none for NO_PROXY',
      'https://ssm.example.com',
      { HTTPS_PROXY: 'http://p:1', NO_PROXY: 'example.com' },
      undefined,
    ],
    [
      'no_proxy first',
      'https://h.example.com',
      { HTTPS_PROXY: 'http://p:1', NO_PROXY: '*', no_proxy: 'x' },
      'http://p:1/',
    ],
    [
      'user and password stay with it',
      'https://h.example.com',
      { HTTPS_PROXY: 'http://u:p%40@p:1' },
      'http://u:p%40@p:1/',
    ],
  ];
  for (const [name, url, env, expected] of rows) {
    it(`is ${name}`, () => {
      assert.equal(chooseProxy(url, env)?.href, expected);
    });
  }

  it('of another kind, or none at all, is CONFIG_INVALID without showing the value', () => {
    for (const value of ['socks5://user:hunter2@p:1', 'http://user:hunter2@bad host:1']) {
      assert.throws(
        () => chooseProxy('https://h.example.com', { ALL_PROXY: value }),
        (error: unknown) => {
          assert.ok(error instanceof Error && 'code' in error);
          assert.equal(error.code, 'CONFIG_INVALID');
          assert.match(error.message, /ALL_PROXY/);
          assert.doesNotMatch(JSON.stringify(error) + error.message, /hunter2/);
          return true;
        },
      );
    }
  });

  const exemptions: readonly (readonly [string, string, number, boolean])[] = [
    ['example.com', 'example.com', 443, true],
    ['example.com', 'ssm.example.com', 443, true],
    ['.example.com', 'ssm.example.com', 443, true],
    ['*.example.com', 'ssm.example.com', 443, true],
    ['example.com', 'notexample.com', 443, false],
    ['EXAMPLE.com', 'ssm.example.com', 443, true],
    ['example.com:443', 'ssm.example.com', 443, true],
    ['example.com:8443', 'ssm.example.com', 443, false],
    ['a.com, example.com', 'example.com', 443, true],
    ['a.com example.com', 'example.com', 443, true],
    ['*', 'anything', 1, true],
    ['', 'example.com', 443, false],
    [',,', 'example.com', 443, false],
    ['.', 'example.com', 443, false],
    ['10.1.2.3', '10.1.2.3', 443, true],
    ['2.3', '10.1.2.3', 443, false],
    ['10.0.0.0/8', '10.1.2.3', 443, true],
    ['10.0.0.0/8', '11.1.2.3', 443, false],
    ['10.0.0.0/8', 'host.example.com', 443, false],
    ['10.0.0.0/99', '10.1.2.3', 443, false],
    ['[2001:db8::1]:443', '2001:db8::1', 443, true],
    ['[2001:db8::1]:80', '2001:db8::1', 443, false],
    ['2001:db8::/32', '2001:db8::1', 443, true],
    ['2001:db8::1', '2001:db8::1', 443, true],
  ];
  for (const [list, host, port, expected] of exemptions) {
    it(`with NO_PROXY=${list} is ${expected ? 'not ' : ''}used for ${host}:${String(port)}`, () => {
      assert.equal(isExempt(host, port, list), expected);
    });
  }
});
