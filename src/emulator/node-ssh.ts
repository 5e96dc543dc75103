/**
 * The SSH server of one emulated node, on a free port of 127.0.0.1: public key (a client key made once per
 * directory) and optionally a password; exec, shell, sftp, forwards. Stands in for the node's sshd.
 */
import { timingSafeEqual, createHash } from 'node:crypto';
import * as net from 'node:net';
import { join } from 'node:path';
import type { AuthContext, Connection, ParsedKey } from 'ssh2';
import ssh2 from 'ssh2';
import type { Log } from '../log.ts';
import { serveForwards } from './node-forward.ts';
import type { NodeHome } from './node-home.ts';
import { directoryName, prepareHome } from './node-home.ts';
import { fingerprint, loadOrCreateKey } from './node-keys.ts';
import { NodeProcesses } from './node-processes.ts';
import { serveSession } from './node-session.ts';

/** Refused attempts after which a connection is dropped, as sshd's MaxAuthTries (each key offered counts). */
const MAX_AUTH_ATTEMPTS = 20;
/** Time to log in, as sshd's LoginGraceTime. */
const LOGIN_GRACE_MS = 120_000;
const SSH_PORT = 22;

export interface NodeSshOptions {
  /** Keys and homes are kept here; made where it does not exist. Several nodes may share it. */
  readonly directory: string;
  /** What `hostname` prints on the node. Names the node's own directory. */
  readonly hostname: string;
  /** Whose key the identity file is. */
  readonly user: string;
  readonly log: Log;
  /** Keys with which a user, this one or another of the node, may log in besides, for a while. */
  readonly pushedKeys?: (user: string) => readonly AcceptedKey[];
  /** Allows password login too. */
  readonly password?: string;
}

/** A public key in its wire form. */
export interface AcceptedKey {
  readonly type: string;
  readonly blob: Buffer;
}

export interface NodeSsh {
  /** Port on 127.0.0.1. */
  readonly port: number;
  readonly user: string;
  /** OpenSSH private key that may log in, mode 0600. */
  readonly identityFile: string;
  /** `SHA256:...` of the host key. */
  readonly hostKeyFingerprint: string;
  /** The public host key: type, base64, comment. */
  readonly hostKey: string;
  readonly home: NodeHome;
  /** Connections open now. */
  readonly connections: number;
  /** Closes all connections and kills every process of the node. Idempotent. */
  close(): Promise<void>;
}

/** Starts the server; resolves when it listens. */
export async function startNodeSsh(options: NodeSshOptions): Promise<NodeSsh> {
  const { directory, hostname, user, log } = options;
  const home = await prepareHome(directory, hostname, user);
  const identityFile = join(directory, 'id_ed25519');
  const clientKey = parseKey(await loadOrCreateKey(identityFile, `${user}@emulator`));
  const hostKeyFile = join(directory, directoryName(hostname), 'ssh_host_ed25519_key');
  const hostKey = await loadOrCreateKey(hostKeyFile, hostname);
  const publicHostKey = parseKey(hostKey);
  const processes = new NodeProcesses(home.mark);
  const connections = new Set<Connection>();
  // Sockets are ours, so that closing the node can cut those that never finish a handshake.
  const sockets = new Set<net.Socket>();
  const server = new ssh2.Server({ hostKeys: [hostKey], ident: 'ssm-proxy_node' });
  const listener = net.createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    server.injectSocket(socket);
  });

  server.on('connection', (connection, info) => {
    connections.add(connection);
    const grace = setTimeout(() => connection.end(), LOGIN_GRACE_MS);
    connection.once('close', () => {
      clearTimeout(grace);
      connections.delete(connection);
    });
    // Peers that vanish or speak nonsense; the close that follows cleans up.
    connection.on('error', (error) => log.debug('connection-error', { reason: error.message }));
    authenticate(connection, {
      keys: (name) => [
        ...(name === user ? [clientKey] : []),
        ...parsedKeys(options.pushedKeys?.(name) ?? []),
      ],
      password: (name) => (name === user ? options.password : undefined),
    });
    connection.once('ready', () => {
      clearTimeout(grace);
      log.debug('login');
      const context = {
        home,
        processes,
        log,
        connection: `${info.ip} ${info.port} 127.0.0.1 ${SSH_PORT}`,
      };
      connection.on('session', (accept) => serveSession(accept(), context));
      serveForwards({ connection, log, dialAddress });
    });
  });

  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', resolve);
  });
  const port = (listener.address() as net.AddressInfo).port;

  /** On the node its own SSH port is 22; everything else is this machine's. */
  function dialAddress(host: string, asked: number): { host: string; port: number } {
    const isOwn = host === 'localhost' || host === '127.0.0.1' || host === '::1' || host === hostname;
    return isOwn ? { host: '127.0.0.1', port: asked === SSH_PORT ? port : asked } : { host, port: asked };
  }

  let closing: Promise<void> | undefined;
  return {
    port,
    user,
    identityFile,
    hostKeyFingerprint: fingerprint(publicHostKey.getPublicSSH()),
    hostKey: `${publicHostKey.type} ${publicHostKey.getPublicSSH().toString('base64')} root@${hostname}`,
    home,
    get connections() {
      return connections.size;
    },
    close() {
      closing ??= (async () => {
        const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
        for (const socket of sockets) socket.destroy();
        await processes.killAll();
        await closed;
      })();
      return closing;
    },
  };
}

interface Credentials {
  /** By the name of a user, as `password`. */
  readonly keys: (user: string) => readonly ParsedKey[];
  readonly password: (user: string) => string | undefined;
}

function authenticate(connection: Connection, credentials: Credentials): void {
  let refused = 0;
  connection.on('authentication', (context) => {
    if (isProven(context, credentials)) {
      context.accept();
      return;
    }
    refused += 1;
    if (refused > MAX_AUTH_ATTEMPTS) connection.end();
    else {
      const hasPassword = credentials.password(context.username) !== undefined;
      context.reject(hasPassword ? ['publickey', 'password'] : ['publickey']);
    }
  });
}

function isProven(context: AuthContext, credentials: Credentials): boolean {
  switch (context.method) {
    case 'publickey': {
      const { data } = context.key;
      // An RSA key signs under several names of algorithms.
      const key = credentials.keys(context.username).find((known) => isSame(data, known.getPublicSSH()));
      if (key === undefined) return false;
      // Without a signature the client only asks whether the key would do.
      if (context.signature === undefined || context.blob === undefined) return true;
      return key.verify(context.blob, context.signature, context.hashAlgo);
    }
    case 'password': {
      const password = credentials.password(context.username);
      return password !== undefined && isSame(context.password, password);
    }
    default:
      return false;
  }
}

function isSame(a: string | Buffer, b: string | Buffer): boolean {
  const digest = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function parsedKeys(keys: readonly AcceptedKey[]): readonly ParsedKey[] {
  return keys.flatMap(({ type, blob }) => {
    const key = ssh2.utils.parseKey(`${type} ${blob.toString('base64')}`);
    return key instanceof Error ? [] : [key].flat();
  });
}

function parseKey(text: string): ParsedKey {
  const key = ssh2.utils.parseKey(text);
  if (key instanceof Error) throw key;
  return Array.isArray(key) ? (key[0] as ParsedKey) : key;
}
