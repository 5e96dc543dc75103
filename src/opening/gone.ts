/** Whether the instance of a running session that fell silent is gone, and how it went. */
import type { AwsContext } from '../aws/context.ts';
import { ProxyError } from '../errors.ts';

const GONE_CODES: ReadonlySet<string> = new Set(['TARGET_NOT_FOUND', 'TARGET_STOPPED', 'TARGET_TERMINATED']);

/**
 * The error to end with; undefined when the instance runs. Rejects when it cannot be found out, which is no reason to
 * end. Managed instances (`mi-...`) are not EC2's: nothing is known of them.
 */
export async function findGone(
  context: AwsContext,
  instanceId: string,
  signal: AbortSignal,
): Promise<ProxyError | undefined> {
  if (!instanceId.startsWith('i-')) return undefined;
  const { checkInstance } = await import('../aws/instance.ts');
  try {
    await checkInstance(context, instanceId, { signal, isSingle: true });
    return undefined;
  } catch (error) {
    if (error instanceof ProxyError && GONE_CODES.has(error.code)) return error;
    throw error;
  }
}
