/** `startEmulator()` of the library: the AWS side and a small private cluster on this machine, for tests. */
import type { EmulatorDescription } from './emulator/describe.ts';
import type { Log } from './log.ts';

export interface EmulatorSettings {
  /** Default 3: a head and two workers. */
  readonly nodes?: number;
  /** TCP port on 127.0.0.1; default 0, any free one. */
  readonly port?: number;
  /** https and wss with a throwaway certificate authority; its file is `caFile` then. */
  readonly tls?: boolean;
  /** Default us-east-1. */
  readonly region?: string;
  readonly log?: Log;
}

export interface RunningEmulator extends EmulatorDescription {
  /** Ends everything and removes its files. Idempotent. */
  close(): Promise<void>;
}

/** Resolves when everything listens. USAGE for settings that cannot be used. */
export async function startEmulator(settings: EmulatorSettings = {}): Promise<RunningEmulator> {
  const { nodes, port, tls, region, log } = settings;
  // With its SSH servers it is larger than the rest of the library.
  const server = await import('./emulator/server.ts');
  return server.startEmulator({
    ...(nodes !== undefined && { nodes }),
    ...(port !== undefined && { port }),
    ...(tls !== undefined && { tls }),
    ...(region !== undefined && { region }),
    ...(log !== undefined && { log }),
  });
}
