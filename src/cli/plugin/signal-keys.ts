/** Signals that are for the far side, as the keys that raise them on a terminal there. */
import { constants } from 'node:os';

const KEYS: ReadonlyMap<number, number> = new Map([
  [constants.signals.SIGINT, 0x03],
  [constants.signals.SIGQUIT, 0x1c],
  [constants.signals.SIGTSTP, 0x1a],
]);

/** `exitStatus`: 128 and the signal's number. Undefined for signals that are for this process. */
export function keyOfSignal(exitStatus: number): Buffer | undefined {
  const key = KEYS.get(exitStatus - 128);
  return key === undefined ? undefined : Buffer.of(key);
}
