/**
 * Columns that a text takes in a terminal: stands in for the `string-width` package when yargs is bundled
 * (scripts/bundle-plugins.mjs), which costs 40 ms at start. Help texts are ASCII; anything else is counted by
 * grapheme, two columns for East Asian wide characters and emoji.
 */

const ANSI_SEQUENCE = /\u001b\[[0-9;:?]*[ -/]*[@-~]/g;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const INVISIBLE = /^[\p{Control}\p{Format}\p{Mark}]+$/u;
let segmenter: Intl.Segmenter | undefined;

export default function stringWidth(text: string): number {
  const plain = text.includes('\u001b') ? text.replace(ANSI_SEQUENCE, '') : text;
  if (/^[ -~]*$/.test(plain)) return plain.length;
  segmenter ??= new Intl.Segmenter();
  let width = 0;
  for (const { segment } of segmenter.segment(plain)) {
    if (!INVISIBLE.test(segment)) width += WIDE.test(segment) ? 2 : 1;
  }
  return width;
}
