/**
 * What AWS says when it refuses: which action, on what, and whose policy stands in the way. The wording is AWS's own
 * ("Troubleshoot access denied error messages" of the IAM user guide); EC2 may encode it.
 */

/** What to do, in one line; undefined when the message tells neither action nor reason. */
export function denialHint(message: string): string | undefined {
  if (/Encoded authorization failure message: /.test(message)) {
    return 'what was denied is encoded: aws sts decode-authorization-message --encoded-message <the long word above>';
  }
  const [, action, resource] =
    /is not authorized to perform: ([\w-]+:\w+)(?: on resource: (\S+))?/.exec(message) ?? [];
  if (action === undefined) return undefined;
  const what = resource === undefined || resource === '*' ? action : `${action} on ${resource}`;
  const denying = /with an explicit deny in an? ([a-z][a-z -]*?)(?: policy)?(?::|\.|,|$)/.exec(message)?.[1];
  if (denying !== undefined) {
    return `the ${denying} policy denies ${what} explicitly: no other policy can allow it, it has to change itself`;
  }
  const missing = /because no ([a-z][a-z -]*?)(?: policy)? allows/.exec(message)?.[1];
  // Policies of the caller are the ordinary case; the others limit what those can give.
  if (missing === undefined || missing === 'identity-based')
    return `allow ${what} in a policy of this user or role`;
  return `allow ${what} in the ${missing}${missing.endsWith('boundary') ? '' : ' policy'}, too`;
}
