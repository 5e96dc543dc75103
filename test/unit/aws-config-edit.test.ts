/** Changing ~/.aws/config: what is asked for changes, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changeSection } from '../../src/aws/config-edit.ts';
import { parseIni } from '../../src/aws/ini-file.ts';

const CONFIG = `# mine
[default]
region=eu-west-1   # near
unknown_key = kept

; about dev
[profile dev]
s3 =
  addressing_style = path
  max_concurrent_requests = 4
role_arn = arn:aws:iam::111122223333:role/x
source_profile  =  default

[sso-session corp]
sso_start_url = https://old.example.com/start # the old one
`;

test('a key that is there changes on its line, with its spacing and comment', () => {
  const changed = changeSection(CONFIG, 'default', { region: 'us-east-1' });
  assert.equal(changed, CONFIG.replace('region=eu-west-1', 'region=us-east-1'));
  const url = 'https://new.example.com/start';
  const session = changeSection(CONFIG, 'sso-session corp', { sso_start_url: url });
  assert.equal(session, CONFIG.replace('https://old.example.com/start', url));
  const spaced = changeSection(CONFIG, 'profile dev', { source_profile: 'other' });
  assert.equal(spaced, CONFIG.replace('source_profile  =  default', 'source_profile  =  other'));
});

test('a new key follows the last one of its section, before the comment of the next', () => {
  const changed = changeSection(CONFIG, 'default', { output: 'json' });
  assert.equal(changed, CONFIG.replace('unknown_key = kept\n', 'unknown_key = kept\noutput = json\n'));
  const nested = changeSection(CONFIG, 'profile dev', { region: 'us-east-1' });
  assert.equal(nested, CONFIG.replace('=  default\n', '=  default\nregion = us-east-1\n'));
});

test('a key goes out with the lines that belong to it', () => {
  const changed = changeSection(CONFIG, 'profile dev', { s3: null, role_arn: null, absent: null });
  assert.equal(changed, CONFIG.replace(/s3 =\n.*\n.*\nrole_arn.*\n/, ''));
});

test('a key of a nested block is not the key of the same name', () => {
  const changed = changeSection(CONFIG, 'profile dev', { addressing_style: 'virtual' });
  assert.equal(changed, CONFIG.replace('=  default\n', '=  default\naddressing_style = virtual\n'));
});

test('a new section stands at the end, with an empty line before it', () => {
  const change = { sso_session: 'corp', region: 'us-east-1' };
  assert.equal(
    changeSection(CONFIG, 'profile new', change),
    `${CONFIG}\n[profile new]\nsso_session = corp\nregion = us-east-1\n`,
  );
  assert.equal(changeSection('', 'default', { region: 'x' }), '[default]\nregion = x\n');
  assert.equal(
    changeSection('[default]', 'profile a', { region: 'x' }),
    '[default]\n\n[profile a]\nregion = x\n',
  );
  assert.equal(changeSection(CONFIG, 'profile none', { region: null }), CONFIG);
});

test('names with a space are found in any spelling and written in quotes', () => {
  const text = '[profile "my  dev"]\nregion = a\n';
  assert.equal(changeSection(text, 'profile my  dev', { region: 'b' }), text.replace('= a', '= b'));
  const added = changeSection('', 'profile my dev', { region: 'b' });
  assert.equal(added, "[profile 'my dev']\nregion = b\n");
  assert.deepEqual({ ...parseIni(added).get('profile my dev') }, { region: 'b' });
});

test('Windows line ends stay', () => {
  const text = CONFIG.replaceAll('\n', '\r\n');
  const changed = changeSection(text, 'default', { region: 'us-east-1', output: 'json' });
  assert.equal(changed.replaceAll('\r\n', '').includes('\n'), false);
  assert.deepEqual(
    { ...parseIni(changed).get('default') },
    { region: 'us-east-1', unknown_key: 'kept', output: 'json' },
  );
});

test('a section or key that stands twice is changed wherever it counts', () => {
  const text = '[default]\nregion = a\n[profile x]\nregion = x\n[default]\nregion = b\n';
  const changed = changeSection(text, 'default', { region: 'c' });
  assert.equal(parseIni(changed).get('default')?.['region'], 'c');
  assert.equal(parseIni(changed).get('profile x')?.['region'], 'x');
});

test('what was written can be read again, whatever the file looked like', () => {
  const names = ['default', 'profile dev', 'profile new', 'sso-session corp'];
  for (const name of names) {
    const before = parseIni(CONFIG);
    const after = parseIni(changeSection(CONFIG, name, { region: 'q', sso_region: 'r' }));
    for (const [section, settings] of before) {
      const expected = section === name ? { ...settings, region: 'q', sso_region: 'r' } : { ...settings };
      assert.deepEqual({ ...after.get(section) }, expected, `${name}: ${section}`);
    }
    assert.equal(after.get(name)?.['sso_region'], 'r');
  }
});
