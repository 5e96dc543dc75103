/** What a launcher needs to know of a running emulator, as one line of JSON. */

export interface DescribedInstance {
  readonly instanceId: string;
  readonly privateIp: string;
  readonly name: string;
  readonly user: string;
  /** Private key file; null when only the real sshd behind the node knows. */
  readonly identityFile: string | null;
  /** Port on 127.0.0.1 of the SSH server behind port 22 of the node. */
  readonly sshPort: number;
}

export interface EmulatorDescription {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** PEM file of the certificate authority to trust; null without TLS. */
  readonly caFile: string | null;
  readonly control: string;
  readonly instances: readonly DescribedInstance[];
}

/** Keys and their order are fixed: launchers read it. Holds the emulator's secret key. */
export function describeEmulator(emulator: EmulatorDescription): string {
  const { endpoint, region, credentials, caFile, control, instances } = emulator;
  return JSON.stringify({
    endpoint,
    region,
    credentials: { accessKeyId: credentials.accessKeyId, secretAccessKey: credentials.secretAccessKey },
    caFile,
    control,
    instances: instances.map(({ instanceId, privateIp, name, user, identityFile, sshPort }) => ({
      instanceId,
      privateIp,
      name,
      user,
      identityFile,
      sshPort,
    })),
  });
}
