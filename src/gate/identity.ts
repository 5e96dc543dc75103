/**
 * Whose calls share one limit at AWS: those of one account, in one region, at one endpoint. The account number is in
 * the access key ID (base32, from the fifth character on); where it is not, the key ID itself stands for it.
 */
import { createHash } from 'node:crypto';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const KEY_ID = /^(?:AKIA|ASIA)([A-Z2-7]{16})$/;
/** The account is in 40 bits, after the first one. */
const ACCOUNT_BITS = 40n;
/** Letters of 5 bits that hold these 41 bits, and the bits too many in them. */
const LETTERS = 9;
const SPARE_BITS = 4n;

/** The account number where it can be read, else the key ID. Same account, same text. */
export function accountOfKey(accessKeyId: string): string {
  const [, coded] = KEY_ID.exec(accessKeyId) ?? [];
  if (coded === undefined) return accessKeyId;
  let bits = 0n;
  for (const letter of coded.slice(0, LETTERS)) bits = (bits << 5n) | BigInt(BASE32.indexOf(letter));
  const account = (bits >> SPARE_BITS) & ((1n << ACCOUNT_BITS) - 1n);
  return account.toString().padStart(12, '0');
}

/** A name for files: says nothing about the parts, which it stands for. */
export function fingerprint(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\0')).digest('hex').slice(0, 20);
}
