/** VPCs by name. */
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';
import { describeVpcs } from './ec2.ts';

/** IDs of the VPCs with exactly this Name tag. ACCESS_DENIED and the errors of API calls. */
export async function vpcIdsByName(
  context: AwsContext,
  name: string,
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const names = await describeVpcs(context, [['tag:Name', name]], options);
  return new Set([...names].filter(([, each]) => each === name).map(([id]) => id));
}
