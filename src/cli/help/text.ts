/** What a help text has, apart from the options (options/). */

export interface CommandHelp {
  /** What comes after the program's name. */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  readonly details: string;
  readonly examples: readonly (readonly [line: string, meaning: string])[];
}

export const TARGET =
  'A target is a private or public IP address, an instance ID (i-... or mi-...), a private DNS name or a Name tag.';
