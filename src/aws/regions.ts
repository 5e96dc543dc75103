/** The regions that an account can use. */
import type { CallOptions } from './call.ts';
import type { AwsContext } from './context.ts';

/** In place of a list of regions: every region that the account has enabled. */
export const ALL_REGIONS = 'all';

/** Where to ask when no region is configured. */
export const REGION_TO_ASK = 'us-east-1';

/** Sorted. ACCESS_DENIED without ec2:DescribeRegions, and the errors of API calls. */
export async function enabledRegions(context: AwsContext, options: CallOptions): Promise<readonly string[]> {
  const { describeRegions } = await import('./ec2.ts');
  return describeRegions(context, options);
}
