import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VERSION } from '../../src/version.ts';
import { packageFacts } from '../support/cli.ts';

test('the version is that of package.json', () => {
  assert.equal(VERSION, packageFacts().version);
});
