/** Which files, profile and region apply, and why: the usual reason for "no credentials" on a machine that has some. */
import type { ConfigFiles } from '../aws/config-files.ts';
import type { AwsContext } from '../aws/context.ts';
import { describeProfiles, namesCredentials, selectProfile } from '../aws/profile.ts';
import type { Profile } from '../aws/profile.ts';
import type { RegionSource } from '../aws/region.ts';
import { asProxyError } from '../errors.ts';
import type { Finding } from './finding.ts';
import { failed, failure, ok, warning } from './finding.ts';

const REGION_WORDS: Readonly<Record<RegionSource, string>> = {
  flag: '--region',
  target: "the target's name",
  AWS_REGION: 'AWS_REGION',
  AWS_DEFAULT_REGION: 'AWS_DEFAULT_REGION',
  profile: 'the profile',
  metadata: 'this EC2 instance',
};

export interface ConfigurationInputs {
  readonly files: ConfigFiles;
  /** `--profile`. */
  readonly profile: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  /** Rejects with why there is none. */
  readonly context: Promise<AwsContext>;
}

export async function checkConfiguration(inputs: ConfigurationInputs): Promise<readonly Finding[]> {
  const { files, env, context } = inputs;
  const findings: Finding[] = files.problems.map((problem) =>
    failed('config.file', 'Config file', problem, 'make it readable for yourself: chmod 600'),
  );
  const profile = attempt(() => selectProfile(inputs.profile, env, files));
  findings.push(profileFinding(profile, inputs));
  try {
    const chosen = await context;
    const { region, regionSource } = chosen;
    findings.push(ok('config.region', 'Region', `${region}, from ${REGION_WORDS[regionSource]}`));
    const override = chosen.endpoint('SSM');
    if (override !== undefined) {
      findings.push(
        warning('config.endpoint', 'Endpoint', `SSM calls go to ${new URL(override).host}, by settings`),
      );
    }
  } catch (thrown) {
    // A profile that does not exist has its own line already.
    if (asProxyError(thrown).code !== 'PROFILE_NOT_FOUND')
      findings.push(failure('config.region', 'Region', thrown));
  }
  return findings;
}

function profileFinding(profile: Profile | Error, { files, env }: ConfigurationInputs): Finding {
  const id = 'config.profile';
  const what = 'Profile';
  if (profile instanceof Error) return failure(id, what, profile);
  const where = `of ${files.configPath}`;
  if (profile.namedBy !== undefined) {
    const by = profile.namedBy === 'flag' ? '--profile' : profile.namedBy;
    const keysWin = profile.namedBy !== 'flag' && env['AWS_ACCESS_KEY_ID'];
    if (keysWin) {
      return warning(
        id,
        what,
        `${profile.name} is named by ${by}, but AWS_ACCESS_KEY_ID is set and goes before it`,
        'unset AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or name the profile with --profile',
      );
    }
    return ok(id, what, `${profile.name}, by ${by}, ${where}`);
  }
  if (env['AWS_ACCESS_KEY_ID']) return ok(id, what, 'none needed: the keys are in the environment');
  const names = [...files.profiles.keys()];
  const hasDefault = files.profiles.has('default') && namesCredentials(profile.settings);
  if (hasDefault)
    return ok(id, what, `default ${where}${names.length > 1 ? `; ${describeProfiles(files)}` : ''}`);
  if (names.length === 0) {
    return warning(
      id,
      what,
      `no profile in ${files.configPath} or ${files.credentialsPath}`,
      'with SSO: ssm-proxy login --configure; on an EC2 instance the role is used and this is as it should be',
    );
  }
  return failed(
    id,
    what,
    `no profile is named and there is no default profile; ${describeProfiles(files)}`,
    `choose one: export AWS_PROFILE=${names.find((name) => name !== 'default') ?? 'NAME'} before sky, ssh and ssm-proxy alike, or make one the default: name its section [default]`,
  );
}

function attempt<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    return asProxyError(error);
  }
}
