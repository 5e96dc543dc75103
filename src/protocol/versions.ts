/** Agent versions and what each brought; comparison rule of the official agent. */

/**
 * Compares two dotted versions: component by component, numerically where both are numbers; the longer one wins a
 * tie (so 1.2.295.0 > 1.2.295). Negative when a < b.
 */
export function compareVersions(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let i = 0; i < Math.min(left.length, right.length); i += 1) {
    const x = left[i] ?? '';
    const y = right[i] ?? '';
    const difference =
      /^\d+$/.test(x) && /^\d+$/.test(y) ? Number(x) - Number(y) : Number(x > y) - Number(x < y);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** Agents above this one understand the TerminateSession flag on port sessions. */
export const TERMINATE_FLAG_ABOVE = '2.3.722.0';
/** Agents above this one multiplex LocalPortForwarding sessions (smux). */
export const MUX_ABOVE = '3.0.196.0';
/** Agents from this one on acknowledge duplicates again. */
export const REACK_DUPLICATES_FROM = '3.2.1041.0';
/** Above this one the client switches smux keepalive off. */
export const MUX_KEEPALIVE_OFF_ABOVE = '3.1.1511.0';
