/** What processes share through files, and everything that can be wrong with the place for it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { LookupFiles } from '../../src/gate/lookup-files.ts';
import { openRuntimeDirectory } from '../../src/gate/runtime-directory.ts';
import { SharedText } from '../../src/gate/shared-text.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ssm-proxy-gate-'));
});
afterEach(() => {
  chmodSync(base, 0o700);
  rmSync(base, { recursive: true });
});

describe('runtime directory', () => {
  it('is made in XDG_RUNTIME_DIR, for this user alone', () => {
    const path = openRuntimeDirectory({ XDG_RUNTIME_DIR: base });
    assert.equal(path, join(base, 'ssm-proxy'));
    assert.equal(lstatSync(path).mode & 0o777, 0o700);
    assert.equal(openRuntimeDirectory({ XDG_RUNTIME_DIR: base }), path);
  });

  it('is in the cache directory where there is no runtime directory', () => {
    const inHome = openRuntimeDirectory({ HOME: base });
    assert.match(inHome ?? '', /\.cache\/ssm-proxy\/run-[\w.-]+$/);
    const inCache = openRuntimeDirectory({ HOME: base, XDG_CACHE_HOME: join(base, 'cache') });
    assert.ok(inCache?.startsWith(join(base, 'cache', 'ssm-proxy', 'run-')));
  });

  it('is none without a place, and relative places do not count', () => {
    assert.equal(openRuntimeDirectory({}), undefined);
    assert.equal(openRuntimeDirectory({ HOME: 'x', XDG_RUNTIME_DIR: 'y', XDG_CACHE_HOME: 'z' }), undefined);
  });

  const hostile: readonly (readonly [name: string, prepare: (path: string) => void])[] = [
    ['others may enter', (path) => mkdirSync(path, { mode: 0o755 })],
    ['is a symbolic link', (path) => symlinkSync(base, path)],
    ['is a dangling link', (path) => symlinkSync(join(base, 'nowhere'), path)],
    ['is a file', (path) => writeFileSync(path, '')],
  ];
  for (const [name, prepare] of hostile) {
    it(`is not one that ${name}`, () => {
      prepare(join(base, 'ssm-proxy'));
      assert.equal(openRuntimeDirectory({ XDG_RUNTIME_DIR: base }), undefined);
    });
  }
});

describe('shared text', () => {
  it('is what the last change made of it', () => {
    const one = new SharedText(base, 'x');
    const other = new SharedText(base, 'x');
    assert.equal(one.read(), undefined);
    assert.equal(
      one.update((text) => `${text ?? ''}a`),
      true,
    );
    assert.equal(
      other.update((text) => `${text ?? ''}b`),
      true,
    );
    assert.equal(one.read(), 'ab');
  });

  it('does not take the text of another name', () => {
    new SharedText(base, 'x').update(() => 'x');
    new SharedText(base, 'x.1').update(() => 'dotted');
    writeFileSync(join(base, 'x.text'), '');
    assert.equal(new SharedText(base, 'x-2').read(), undefined);
    assert.equal(new SharedText(base, 'x').read(), 'x');
  });

  it('stays as it is when nothing is to be changed', () => {
    const shared = new SharedText(base, 'x');
    shared.update(() => 'a');
    assert.equal(
      shared.update(() => undefined),
      true,
    );
    assert.equal(shared.read(), 'a');
  });

  it('is changed by one after the other when two see the same version', () => {
    const shared = new SharedText(base, 'x');
    shared.update(() => ':');
    let calls = 0;
    shared.update((text) => {
      calls += 1;
      if (calls === 1) new SharedText(base, 'x').update((seen) => `${seen ?? ''}first,`);
      return `${text ?? ''}second,`;
    });
    assert.equal(shared.read(), ':first,second,');
    assert.equal(calls, 2);
  });

  it('removes versions that are old, but no sooner: somebody may take one for the last', () => {
    const shared = new SharedText(base, 'x');
    for (let change = 0; change < 50; change += 1) shared.update(() => String(change));
    assert.equal(shared.read(), '49');
    assert.equal(readdirSync(base).length, 50);
    const old = Date.now() / 1000 - 11;
    for (const name of readdirSync(base)) lutimesSync(join(base, name), old, old);
    shared.update((text) => `${text}, and after a while`);
    assert.equal(shared.read(), '49, and after a while');
    assert.equal(readdirSync(base).length, 2);
  });

  it('throws when there is no directory', () => {
    const shared = new SharedText(join(base, 'gone'), 'x');
    assert.throws(() => shared.update(() => 'a'), { code: 'ENOENT' });
    assert.throws(() => shared.read(), { code: 'ENOENT' });
  });
});

describe('lookup files', () => {
  const NOW = 1_800_000_000_000;
  const answerFile = (): string => {
    const [name = ''] = readdirSync(join(base, 'lookups')).filter((each) => each.startsWith('answer-'));
    return join(base, 'lookups', name);
  };

  it('give an answer back until it is too old', () => {
    const files = new LookupFiles(base);
    files.store('key', { is: 'here' }, NOW);
    assert.deepEqual(new LookupFiles(base).find('key', 1000, NOW + 1000), { is: 'here' });
    assert.equal(files.find('key', 1000, NOW + 1001), undefined);
    assert.equal(files.find('other', 1000, NOW), undefined);
    files.forget('key');
    assert.equal(files.find('key', 1000, NOW), undefined);
  });

  it('do not believe an answer from the future', () => {
    const files = new LookupFiles(base);
    files.store('key', 1, NOW + 5_000);
    assert.equal(files.find('key', 1000, NOW), undefined);
  });

  it('are for this user alone', () => {
    new LookupFiles(base).store('key', 1, NOW);
    assert.equal(lstatSync(answerFile()).mode & 0o777, 0o600);
    assert.equal(lstatSync(join(base, 'lookups')).mode & 0o777, 0o700);
  });

  const broken: readonly (readonly [name: string, damage: (path: string) => void])[] = [
    ['can be read by others', (path) => chmodSync(path, 0o644)],
    [
      'is a link',
      (path) => {
        rmSync(path);
        writeFileSync(join(base, 'elsewhere'), JSON.stringify({ at: NOW, answer: 1 }), { mode: 0o600 });
        symlinkSync(join(base, 'elsewhere'), path);
      },
    ],
    [
      'is a directory',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
    ],
    ['is no JSON', (path) => writeFileSync(path, '{')],
    ['is another JSON', (path) => writeFileSync(path, '[1]')],
    ['has no time', (path) => writeFileSync(path, '{"answer":1}')],
    ['is huge', (path) => writeFileSync(path, JSON.stringify({ at: NOW, answer: 'x'.repeat(70_000) }))],
  ];
  for (const [name, damage] of broken) {
    it(`do not take an answer that ${name}`, () => {
      const files = new LookupFiles(base);
      files.store('key', 1, NOW);
      assert.equal(files.find('key', 1000, NOW), 1);
      damage(answerFile());
      assert.equal(files.find('key', 1000, NOW), undefined);
    });
  }

  it('tell what others wish for', () => {
    const files = new LookupFiles(base);
    files.wish('group', '10.0.0.1');
    files.wish('group', '10.0.0.1');
    files.wish('group', 'fd00::1');
    files.wish('another', '10.0.0.2');
    assert.deepEqual(new LookupFiles(base).wishes('group', NOW).sort(), ['10.0.0.1', 'fd00::1']);
    files.unwish('group', '10.0.0.1');
    assert.deepEqual(files.wishes('group', NOW), ['fd00::1']);
  });

  it('go when there are many and they are old', () => {
    const files = new LookupFiles(base);
    for (let each = 0; each <= 300; each += 1) files.store(`key-${each}`, each, NOW);
    const now = Date.now();
    const old = join(base, 'lookups', 'answer-key-7');
    utimesSync(old, now / 1000 - 601, now / 1000 - 601);
    files.wishes('group', now);
    assert.equal(existsSync(old), false);
    assert.equal(readdirSync(join(base, 'lookups')).length, 300);
  });

  it('are as good as absent when they cannot be written', () => {
    const files = new LookupFiles(join(base, 'gone'));
    files.store('key', 1, NOW);
    files.wish('group', '10.0.0.1');
    files.unwish('group', '10.0.0.1');
    files.forget('key');
    assert.equal(files.find('key', 1000, NOW), undefined);
    assert.deepEqual(files.wishes('group', NOW), []);
  });
});
