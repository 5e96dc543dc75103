import assert from 'node:assert/strict';
import { test } from 'node:test';
import stringWidth from '../../src/cli/string-width.ts';

for (const [name, text, columns] of [
  ['nothing', '', 0],
  ['ASCII', 'ssm-proxy', 9],
  ['colours', '\u001b[31mred\u001b[0m', 3],
  ['accents in one or two characters', 'e\u0301\u00e9', 2],
  ['East Asian wide characters', '\u65e5\u672c', 4],
  ['an emoji of several code points', '\u{1f469}\u200d\u{1f4bb}', 2],
  ['control characters', 'a\u0000b', 2],
] as const) {
  test(`${name} take ${columns} columns`, () => {
    assert.equal(stringWidth(text), columns);
  });
}
