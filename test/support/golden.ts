/** Texts that are kept in files. `UPDATE_GOLDEN=1 npm test -- <file>` writes them anew: look at the difference. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

/** Throws an assertion error unless the file holds exactly `actual`. */
export function assertGolden(file: string, actual: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, actual);
  assert.equal(readFileSync(file, 'utf8'), actual);
}
