/** `connect` on a terminal offers to renew an SSO login that has expired; nowhere else is anything asked. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { DEFAULT_SSO_SETTINGS } from '../../src/emulator/sso-directory.ts';
import type { TestBrowser } from '../support/browser.ts';
import { createBrowser } from '../support/browser.ts';
import type { Cluster } from '../support/cluster.ts';
import { NODE, startCluster } from '../support/cluster.ts';
import { skipWithout } from '../support/programs.ts';
import { Terminal } from '../support/terminal.ts';

const QUESTION = /the SSO login of profile dev has expired\. Log in now\? \[y\/N\]/;
const FAILURE = /\[CREDENTIALS_EXPIRED\]\s+ssm-proxy: run: ssm-proxy login --profile dev/;
const CONFIG = `[profile dev]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = PowerUser
region = us-east-1

[sso-session corp]
sso_start_url = ${DEFAULT_SSO_SETTINGS.startUrl}
sso_region = us-east-1
sso_registration_scopes = sso:account:access
`;

describe('on a terminal', { skip: skipWithout('tmux') }, () => {
  let cluster: Cluster;
  let home: string;
  let browser: TestBrowser;
  let terminal: Terminal | undefined;

  before(async () => {
    cluster = await startCluster({ nodes: 2, withSshd: false });
  });
  after(() => cluster.close());
  beforeEach(() => {
    home = mkdtempSync(join(cluster.directory, 'home-'));
    mkdirSync(join(home, '.aws'));
    writeFileSync(join(home, '.aws', 'config'), CONFIG);
    browser = createBrowser(home);
  });
  afterEach(async () => {
    terminal?.close();
    rmSync(home, { recursive: true });
    cluster.reset();
    await cluster.checkNothingLeft();
  });

  /** Runs ssh with these options and ends with the file `said` full of what the node said. */
  function startSsh(options: string, env: Readonly<Record<string, string>> = {}): Terminal {
    const rest = Object.fromEntries(
      Object.entries(cluster.env).filter(([name]) => !/^AWS_(ACCESS|SECRET)/.test(name)),
    );
    const line = `ssh -F ${cluster.sshConfigFile} ${options} ${NODE} echo in > ${home}/said`;
    terminal = new Terminal(line, {
      env: { ...rest, HOME: home, AWS_PROFILE: 'dev', BROWSER: browser.command, ...env },
      cwd: home,
      columns: 160,
    });
    return terminal;
  }

  test('yes logs in and goes on with connecting', async () => {
    const shown = startSsh('-o BatchMode=no');
    await shown.shows(QUESTION);
    shown.type('y');
    shown.press('Enter');
    assert.equal(await shown.ended(), 0, shown.history());
    // Not a byte of it came between those of SSH.
    assert.equal(readFileSync(join(home, 'said'), 'utf8'), 'in\n');
    assert.match(shown.history(), /Logged in to corp/);
    assert.equal(browser.visited().length, 1);
  });

  test('no, or anything else, is the usual failure', async () => {
    const shown = startSsh('-o BatchMode=no');
    await shown.shows(QUESTION);
    shown.press('Enter');
    assert.equal(await shown.ended(), 255);
    assert.match(shown.history(), FAILURE);
    assert.deepEqual(browser.visited(), []);
  });

  for (const [what, options, env] of [
    ['in BatchMode', '-o BatchMode=yes', {}],
    ['of an ssh that gives up after a while', '-o BatchMode=no -o ConnectTimeout=60', {}],
    ['where it is switched off', '-o BatchMode=no', { SSM_PROXY_NO_LOGIN: '1' }],
    ['without a terminal for messages', '-o BatchMode=no 2> errors', {}],
  ] as const) {
    test(`nothing is asked ${what}`, async () => {
      const shown = startSsh(options, env);
      assert.equal(await shown.ended(), 255);
      const errors = what.startsWith('without') ? readFileSync(join(home, 'errors'), 'utf8') : '';
      const all = `${shown.history()}${errors}`;
      assert.doesNotMatch(all, QUESTION);
      assert.match(all, FAILURE);
    });
  }
});
