/**
 * `ssm-proxy emulator`: the AWS side on this machine, until a signal. Prints what a launcher needs as one line of JSON,
 * or what a person needs with an ssh config file that works from any terminal.
 */
import { isIP } from 'node:net';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describeEmulator } from '../emulator/describe.ts';
import { startEmulator } from '../emulator/server.ts';
import type { Emulator, SshTarget } from '../emulator/server.ts';
import { writeSshConfig } from '../emulator/ssh-files.ts';
import { ProxyError } from '../errors.ts';
import type { LogLevel } from '../log.ts';
import { connectCommand, writeAwsFiles } from './emulator-command.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { wholeNumber } from './option-values.ts';
import { writeOut } from './output.ts';
import { shellWord } from './shell-word.ts';

export interface EmulatorArgs {
  readonly nodes: number;
  readonly port: number;
  readonly tls: boolean;
  readonly sshTarget: SshTarget | undefined;
  readonly region: string;
  readonly json: boolean;
  readonly logLevel: LogLevel | undefined;
  readonly logFile: string | undefined;
}

const DEFAULT_NODES = 3;
const MAX_NODES = 200;
/** Longest time to close; what hangs ends with the process. Milliseconds. */
const CLOSE_LIMIT_MS = 5000;
const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Throws USAGE. */
export function readEmulatorArgs(options: OptionReader): EmulatorArgs {
  const region = options.text('region') ?? 'us-east-1';
  if (!/^[a-z]{2}(-[a-z]+)+-\d{1,2}$/.test(region)) {
    throw new ProxyError('USAGE', `--region ${JSON.stringify(region)} cannot be used`, {
      hint: 'give the name of a region, such as us-east-1',
    });
  }
  return {
    nodes: options.number('nodes', 1, MAX_NODES) ?? DEFAULT_NODES,
    port: options.number('port', 0, 65_535) ?? 0,
    tls: options.switch('tls'),
    sshTarget: readSshTarget(options.text('ssh-target')),
    region,
    json: options.switch('json'),
    logLevel: options.logLevel('log-level'),
    logFile: options.text('log-file'),
  };
}

/** Runs until SIGINT, SIGTERM or SIGHUP, then removes what it made. Exit status. */
export async function runEmulator(args: EmulatorArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const ended = new AbortController();
  // Before the start: a signal that comes early must not leave files behind.
  for (const signal of END_SIGNALS) process.on(signal, () => ended.abort());
  try {
    const { nodes, port, tls, region, sshTarget } = args;
    const emulator = await startEmulator({
      ...{ nodes, port, tls, region, log },
      ...(sshTarget === undefined ? {} : { sshTarget }),
    });
    try {
      const text = await introduce(emulator, args.json);
      await writeOut(io.stdout, text);
      if (!ended.signal.aborted) await once(ended.signal, 'abort');
    } finally {
      await Promise.race([emulator.close(), delay(CLOSE_LIMIT_MS, undefined, { ref: false })]);
    }
  } finally {
    log.close();
  }
  return 0;
}

/** Writes the files for ssh; returns what to print. */
async function introduce(emulator: Emulator, json: boolean): Promise<string> {
  const { directory } = emulator;
  const awsFiles = await writeAwsFiles(emulator, directory);
  const command = connectCommand(emulator, awsFiles);
  const { configFile } = await writeSshConfig(emulator, { directory, command });
  return json ? jsonLine(emulator, configFile) : instructions(emulator, configFile);
}

/** The description that launchers know, with the ssh config file at its end. */
function jsonLine(emulator: Emulator, sshConfig: string): string {
  const description = JSON.parse(describeEmulator(emulator)) as Readonly<Record<string, unknown>>;
  return `${JSON.stringify({ ...description, sshConfig })}\n`;
}

function instructions(emulator: Emulator, sshConfig: string): string {
  const [first] = emulator.instances;
  const width = Math.max(...emulator.instances.map(({ name }) => name.length));
  const nodes = emulator.instances.map(
    ({ name, privateIp, instanceId }) => `  ${name.padEnd(width)}  ${privateIp}  ${instanceId}`,
  );
  const lines = [
    `The emulator plays AWS in ${emulator.region} at ${emulator.endpoint}, with these instances:`,
    '',
    ...nodes,
    '',
    'From any terminal, by name, private IP or instance ID:',
    '',
    `  ssh -F ${shellWord(sshConfig)} ${first?.privateIp ?? ''}`,
    '',
    'For other programs (the AWS CLI, boto3, ssm-proxy itself) in this shell:',
    '',
    `  . ${shellWord(sshConfig.replace(/ssh_config$/, 'env'))}`,
    '',
    `Latency, faults and state: ${emulator.control}`,
    'Ctrl-C ends it and removes its files.',
  ];
  return `${lines.join('\n')}\n`;
}

function readSshTarget(text: string | undefined): SshTarget | undefined {
  if (text === undefined) return undefined;
  const [, bracketed, plain, portText = ''] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = wholeNumber(portText, 1, 65_535);
  if (host === undefined || port === undefined || (bracketed !== undefined && isIP(bracketed) !== 6)) {
    throw new ProxyError('USAGE', `--ssh-target ${JSON.stringify(text)} cannot be used`, {
      hint: 'give HOST:PORT, such as 127.0.0.1:22',
    });
  }
  return { host, port };
}
