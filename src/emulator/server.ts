/**
 * The emulator: one process on loopback that plays EC2, SSM, STS and the message gateway for a small private
 * cluster. This file starts and stops the pieces; what they do is in the files it imports.
 */
import { writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { ProxyError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Log } from '../log.ts';
import { startAgentSession } from './agent.ts';
import type { DialAddress, StartAgentSession } from './agent-link.ts';
import { ApiService } from './api/api-service.ts';
import { readRequest } from './api/request.ts';
import { ChannelDoor } from './channel-door.ts';
import { ControlServer } from './control-server.ts';
import { Controls } from './controls.ts';
import type { DescribedInstance, EmulatorDescription } from './describe.ts';
import { FrontDoor } from './front-door.ts';
import { Gateway } from './gateway.ts';
import { instanceName, primaryIp } from './instance.ts';
import type { EmulatedInstance } from './instance.ts';
import { startNodeSsh } from './node-ssh.ts';
import type { PushedKey } from './pushed-keys.ts';
import { ServiceClock } from './service-clock.ts';
import { createTlsMaterial } from './tls-authority.ts';
import { World } from './world.ts';

/** A real sshd (or anything that speaks SSH) behind the first node. */
export interface SshTarget extends DialAddress {
  /** Who can log in there; default: the nodes' usual user. */
  readonly user?: string;
  readonly identityFile?: string;
  /** Its public host key: type, base64. */
  readonly hostKey?: string;
  /** An AuthorizedKeysFile of its own, for keys that EC2 Instance Connect pushes; written by the emulator. */
  readonly pushedKeysFile?: string;
}

/** The SSH server of one node, as far as the emulator needs it. */
export interface NodeServer {
  readonly port: number;
  readonly user: string;
  readonly identityFile: string;
  /** Public: type, base64, comment. */
  readonly hostKey: string;
  close(): Promise<void>;
}

export type StartNodeServer = (options: {
  readonly directory: string;
  readonly hostname: string;
  readonly user: string;
  readonly log: Log;
  /** Keys that may log in besides its own. */
  readonly pushedKeys: (user: string) => readonly PushedKey[];
}) => Promise<NodeServer>;

export interface EmulatorOptions {
  /** Default 3: a head and two workers. */
  readonly nodes?: number;
  /** TCP port on 127.0.0.1; default 0, any free one. */
  readonly port?: number;
  readonly tls?: boolean;
  readonly sshTarget?: SshTarget;
  /** Default us-east-1. */
  readonly region?: string;
  /** For keys and files; kept on close. Default: a fresh one, mode 0700, removed on close. */
  readonly directory?: string;
  readonly clock?: Clock;
  readonly log?: Log;
  /** For tests of the service alone. */
  readonly startAgentSession?: StartAgentSession;
  readonly startNodeServer?: StartNodeServer;
}

export interface Emulator extends EmulatorDescription {
  /** State, faults and actions in process; `control` is the same over HTTP. */
  readonly controls: Controls;
  /** Where its files are. */
  readonly directory: string;
  /** Ends everything. Idempotent. */
  close(): Promise<void>;
}

const NODE_USER = 'ubuntu';
const MAX_NODES = 200;

/** Resolves when everything listens. Throws USAGE for options that cannot be used. */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const log = options.log ?? silentLog;
  const closers: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await start(options, log, closers, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function start(
  options: EmulatorOptions,
  log: Log,
  closers: (() => Promise<void> | void)[],
  closeAll: () => Promise<void>,
): Promise<Emulator> {
  const region = options.region ?? 'us-east-1';
  const nodeCount = options.nodes ?? 3;
  if (!Number.isSafeInteger(nodeCount) || nodeCount < 0 || nodeCount > MAX_NODES) {
    throw new ProxyError('USAGE', `the emulator can have 0 to ${MAX_NODES} nodes, not ${nodeCount}`);
  }
  const clock = options.clock ?? systemClock;
  const world = new World({ region, clock: new ServiceClock(clock), log });
  closers.push(() => world.clock.close());
  const identity = world.identities.addUser();
  const directory = await makeDirectory(options.directory, closers);

  const tls = options.tls === true ? await createTlsMaterial(clock.wallNow()) : undefined;
  const caFile = tls === undefined ? null : path.join(directory, 'ca.pem');
  if (tls !== undefined && caFile !== null) await writeFile(caFile, tls.authority, { mode: 0o600 });
  const frontDoor = new FrontDoor(tls, clock, () => world.faults);
  const port = await frontDoor.listen(options.port ?? 0);
  closers.push(() => frontDoor.close());

  const host = `127.0.0.1:${port}`;
  const endpoint = `${tls === undefined ? 'http' : 'https'}://${host}`;
  const channelOrigin = `${tls === undefined ? 'ws' : 'wss'}://${host}`;
  const gateway = new Gateway(world, options.startAgentSession ?? startAgentSession, () => channelOrigin);
  closers.push(() => gateway.close());
  serve(frontDoor, world, gateway, endpoint, log);

  const nodeServers = new Map<string, NodeServer>();
  closers.push(async () => {
    await Promise.all([...nodeServers.values()].map((server) => server.close()));
  });
  const startNodeServer = options.startNodeServer ?? startNodeSsh;
  const addSshServer = async (instance: EmulatedInstance): Promise<void> => {
    const hostname = instanceName(instance) === '' ? instance.instanceId : instanceName(instance);
    const server = await startNodeServer({
      directory,
      hostname,
      user: instance.user,
      log: log.child('node'),
      pushedKeys: (user) => world.pushedKeys.of(instance.instanceId, user),
    });
    nodeServers.set(instance.instanceId, server);
    world.changeInstance(instance.instanceId, {
      dial: { '22': { host: '127.0.0.1', port: server.port } },
      user: server.user,
      identityFile: server.identityFile,
      hostKeys: [server.hostKey],
    });
  };
  const controls = new Controls({
    world,
    gateway,
    endpoint,
    openSockets: () => frontDoor.openSockets,
    addSshServer,
  });
  const nodes: EmulatedInstance[] = [];
  for (let index = 0; index < nodeCount; index += 1) {
    const target = index === 0 ? options.sshTarget : undefined;
    nodes.push(await controls.addInstance(nodeSpec(index, target)));
  }

  keepPushedKeysFile(world, nodes[0], options.sshTarget);

  const controlServer = new ControlServer(controls);
  const control = await controlServer.listen();
  closers.push(() => controlServer.close());
  log.info('emulator.ready', { endpoint, nodes: nodes.length });
  let closed: Promise<void> | undefined;
  return {
    endpoint,
    region,
    credentials: { accessKeyId: identity.accessKeyId, secretAccessKey: identity.secretAccessKey },
    caFile,
    control,
    instances: nodes.map(described),
    controls,
    directory,
    close: () => (closed ??= closeAll()),
  };
}

/** A real sshd reads its keys from a file. Whole within one call: sshd may look at any time. */
function keepPushedKeysFile(
  world: World,
  instance: EmulatedInstance | undefined,
  target: SshTarget | undefined,
): void {
  const file = target?.pushedKeysFile;
  if (file === undefined || instance === undefined) return;
  world.pushedKeys.onChange(() => {
    const keys = world.pushedKeys.of(instance.instanceId, instance.user);
    const lines = keys.map(({ type, blob }) => `${type} ${blob.toString('base64')}\n`);
    writeFileSync(file, lines.join(''), { mode: 0o600 });
  });
}

async function makeDirectory(
  given: string | undefined,
  closers: (() => Promise<void> | void)[],
): Promise<string> {
  if (given !== undefined) {
    await mkdir(given, { recursive: true, mode: 0o700 });
    return path.resolve(given);
  }
  // mkdtemp makes it 0700.
  const directory = await mkdtemp(path.join(os.tmpdir(), 'ssm-proxy-emulator-'));
  closers.push(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

function nodeSpec(index: number, target: SshTarget | undefined) {
  const role = index === 0 ? 'head' : 'worker';
  return {
    name: index === 0 ? 'demo-head' : `demo-worker${index}`,
    privateIp: `10.0.1.${10 + index}`,
    tags: { 'demo-cluster': 'demo', 'demo-node-type': role },
    user: target?.user ?? NODE_USER,
    ...(target === undefined ? {} : { dial: { '22': { host: target.host, port: target.port } } }),
    ...(target?.identityFile === undefined ? {} : { identityFile: target.identityFile }),
    ...(target?.hostKey === undefined ? {} : { hostKeys: [target.hostKey] }),
  };
}

function described(instance: EmulatedInstance): DescribedInstance {
  return {
    instanceId: instance.instanceId,
    privateIp: primaryIp(instance) ?? '',
    name: instanceName(instance),
    user: instance.user,
    identityFile: instance.identityFile ?? null,
    sshPort: instance.dial['22']?.port ?? 0,
  };
}

/** Joins the HTTP server to the API and to the data channels. */
function serve(frontDoor: FrontDoor, world: World, gateway: Gateway, endpoint: string, log: Log): void {
  const api = new ApiService(world, gateway, endpoint);
  const door = new ChannelDoor(world, gateway);
  frontDoor.http.on('request', (request: IncomingMessage, response: ServerResponse) => {
    void answerApi(api, world, request, response).catch((error: unknown) => {
      log.error('api.failed', { error: error instanceof Error ? error.message : String(error) });
      response.destroy();
    });
  });
  frontDoor.http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void door.upgrade(request, socket, head).catch((error: unknown) => {
      log.error('channel.failed', { error: error instanceof Error ? error.message : String(error) });
      socket.destroy();
    });
  });
}

async function answerApi(
  api: ApiService,
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const content = await readRequest(request);
  if (content === undefined) return;
  if (content === 'too-large') {
    response.writeHead(413).end();
    return;
  }
  const outcome = await api.answer(content);
  const { latencyMs } = world.faults.api;
  if (latencyMs > 0) await new Promise<void>((resolve) => world.clock.plain.setTimer(latencyMs, resolve));
  if (outcome === 'hang') return;
  if (outcome === 'reset') {
    request.socket.destroy();
    return;
  }
  // SDKs correct their clock by this header, so it must be the service's own.
  const date = new Date(world.clock.wallNow()).toUTCString();
  response.writeHead(outcome.status, {
    ...outcome.headers,
    date: date,
    'content-length': Buffer.byteLength(outcome.body),
  });
  response.end(outcome.body);
}
