/** Parts of the SSO login: names and contents of cache files, the browser that is chosen, the way back from it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readConfigFiles } from '../../src/aws/config-files.ts';
import { selectProfile } from '../../src/aws/profile.ts';
import { findBrowser } from '../../src/sso/browser.ts';
import { startRedirectServer } from '../../src/sso/redirect-server.ts';
import type { RedirectServer } from '../../src/sso/redirect-server.ts';
import { chooseSession, ssoSessionOf } from '../../src/sso/sso-session.ts';
import type { SsoSession } from '../../src/sso/sso-session.ts';
import { registrationKey, SsoCache } from '../../src/sso/token-cache.ts';
import { createAwsHome } from '../support/aws-home.ts';
import { until } from '../support/until.ts';

const startUrl = 'https://demo.awsapps.com/start';
const CORP: SsoSession = { name: 'corp', startUrl, region: 'us-east-1', scopes: ['sso:account:access'] };

test('registrations have the file names that Python and the AWS CLI make', () => {
  // python3: sha1(json.dumps({'tool': 'botocore', 'startUrl': ..., 'region': ..., 'scopes': ..., 'session_name': ...},
  // sort_keys=True)), with scopes and session_name None in the second.
  assert.equal(registrationKey(CORP), '59ede25cfa73e75358e133191153dc956ff34d4b');
  const older = { name: undefined, startUrl, region: 'eu-west-1', scopes: undefined };
  assert.equal(registrationKey(older), 'c09bc4035fb28e49d56928384a84cfdda63da357');
  const odd = { ...CORP, name: 'büro "x" 😀\x7f', scopes: ['a', 'b'] };
  assert.equal(registrationKey(odd), '8fefe3ee6dffeb773e4e37ca65946633f45b4987');
});

describe('the token cache', () => {
  test('reads what the AWS CLI wrote, old forms too, and nothing else', () => {
    using home = createAwsHome();
    const cache = new SsoCache(home.env);
    const path = cache.tokenPath(CORP).slice(home.directory.length + 1);
    // sha1 of the session's name.
    assert.equal(path, '.aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json');
    assert.equal(cache.readToken(CORP), undefined);
    const fields = {
      accessToken: 'secret',
      expiresAt: '2026-06-17T10:02:08UTC',
      region: 'us-east-1',
      startUrl,
    };
    home.write(path, JSON.stringify(fields));
    assert.equal(cache.readToken(CORP)?.expiresAt.toISOString(), '2026-06-17T10:02:08.000Z');
    for (const broken of [
      '',
      '[]',
      'null',
      '{',
      '{"accessToken": 1}',
      '{"accessToken": "x", "expiresAt": "soon"}',
    ]) {
      home.write(path, broken);
      assert.equal(cache.readToken(CORP), undefined, broken);
    }
  });

  test('leaves no temporary file when it cannot write', () => {
    using home = createAwsHome();
    home.write('.aws/sso', 'a file where the directory should be');
    const cache = new SsoCache(home.env);
    const registration = {
      clientId: 'a',
      clientSecret: 'b',
      expiresAt: new Date(),
      grantTypes: [],
      scopes: [],
    };
    assert.throws(() => cache.writeRegistration(CORP, registration), {
      code: 'CONFIG_INVALID',
      message: /cannot be written \(ENOTDIR\)/,
    });
    assert.equal(existsSync(join(home.directory, '.aws/sso/cache')), false);
  });
});

describe('the login of a profile', () => {
  const SECTION = `[sso-session corp]\nsso_start_url = ${startUrl}\nsso_region = us-east-1\nsso_registration_scopes = a, b\n`;

  test('is that of the profile that it takes its credentials from', () => {
    using home = createAwsHome({
      config: `[profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = base\n[profile base]\nsso_session = corp\n${SECTION}`,
    });
    const files = readConfigFiles(home.env);
    assert.deepEqual(ssoSessionOf('role', files), { ...CORP, scopes: ['a', 'b'] });
  });

  test('must have an https start URL, and a region', () => {
    for (const [config, message] of [
      [
        '[default]\nsso_start_url = http://demo.example.com/start\nsso_region = us-east-1\n',
        /not an https URL/,
      ],
      ['[default]\nsso_start_url = https://demo.example.com/start\n', /profile default has no sso_region/],
      ['[default]\nsso_session = none\n', /has no \[sso-session none\]/],
    ] as const) {
      using home = createAwsHome({ config });
      const files = readConfigFiles(home.env);
      const choose = () => chooseSession(selectProfile(undefined, {}, files), files);
      assert.throws(choose, { code: 'CONFIG_INVALID', message });
    }
  });
});

describe('the browser', () => {
  const has = (env: Readonly<Record<string, string>>, platform: NodeJS.Platform): string => {
    const browser = findBrowser(env, platform);
    return browser === undefined ? 'none' : browser.isLocal ? 'local' : 'elsewhere';
  };

  test('is one that the person can see', () => {
    assert.equal(has({}, 'linux'), 'none');
    assert.equal(has({ DISPLAY: ':0' }, 'linux'), 'local');
    assert.equal(has({ WAYLAND_DISPLAY: 'wayland-0' }, 'linux'), 'local');
    assert.equal(has({ WSL_DISTRO_NAME: 'Ubuntu' }, 'linux'), 'local');
    assert.equal(has({}, 'darwin'), 'local');
    assert.equal(has({ SSH_CONNECTION: 'x' }, 'darwin'), 'none');
    assert.equal(has({ SSH_TTY: '/dev/pts/1', DISPLAY: ':0' }, 'linux'), 'none');
    assert.equal(has({ SSH_TTY: '/dev/pts/1', BROWSER: 'code --open' }, 'linux'), 'elsewhere');
  });

  test('gets the URL where %s stands, or last, and no shell reads it', async () => {
    using home = createAwsHome();
    const shown = join(home.directory, 'shown');
    const url = 'http://127.0.0.1/?a=1&b=$(touch x);c';
    const program = home.write(
      'open',
      '#!/bin/sh\nprintf "%s|" "$@" > "$OUT.part" && mv "$OUT.part" "$OUT"\n',
    );
    for (const [command, expected] of [
      [`sh ${program} --url %s end`, `--url|${url}|end|`],
      [`sh ${program}:firefox`, `${url}|`],
    ] as const) {
      const browser = findBrowser({ PATH: process.env['PATH'], BROWSER: command, OUT: shown }, 'linux');
      assert.equal(await browser?.open(url), true);
      assert.equal(
        await until('it is shown', () => existsSync(shown) && readFileSync(shown, 'utf8')),
        expected,
      );
    }
    assert.equal(await findBrowser({ BROWSER: '/nonexistent' }, 'linux')?.open(url), false);
    assert.equal(
      await findBrowser({ PATH: process.env['PATH'], BROWSER: 'false' }, 'linux')?.open(url),
      false,
    );
  });
});

describe('the way back from the browser', () => {
  let server: RedirectServer;
  beforeEach(async () => {
    server = await startRedirectServer('right-state');
  });
  afterEach(() => server.close());

  const visit = (path: string, method = 'GET'): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      get(new URL(path, server.redirectUri), { method, agent: false }, (response) => {
        response.resume();
        response.once('end', () => resolve(response.statusCode));
      }).on('error', reject);
    });

  test('is taken by the answer with our state only', async () => {
    const code = server.waitForCode(60_000);
    for (const path of [
      '/',
      '/favicon.ico',
      '/oauth/callback',
      '/oauth/callback?code=evil',
      '/oauth/callback?code=evil&state=wrong-state',
      '/oauth/callback?error=access_denied&state=',
      '/other?code=evil&state=right-state',
    ]) {
      assert.equal(await visit(path), 404, path);
    }
    assert.equal(await visit('/oauth/callback?code=evil&state=right-state', 'POST'), 404);
    assert.equal(await visit('/oauth/callback?code=good&state=right-state'), 200);
    assert.equal(await code, 'good');
  });

  test('may say no, in words that a terminal can show', async () => {
    const code = server.waitForCode(60_000);
    const refused = assert.rejects(code, {
      code: 'LOGIN_FAILED',
      message: /declined in the browser \(a\?\?2Jb\)/,
    });
    await visit('/oauth/callback?error=a%1b%5b2Jb&state=right-state');
    await refused;
  });

  test('is waited for a bounded time', async () => {
    await assert.rejects(server.waitForCode(1), { code: 'LOGIN_FAILED', message: /nobody logged in within/ });
  });
});
