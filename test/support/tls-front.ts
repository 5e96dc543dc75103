/** Speaks TLS under a name of its own in front of a plain server: stands in for an AWS endpoint behind a proxy. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import * as net from 'node:net';
import type { AddressInfo } from 'node:net';
import * as tls from 'node:tls';
import * as x509 from '@peculiar/x509';

export interface TlsFront {
  readonly address: { readonly host: string; readonly port: number };
  /** PEM of its self-signed certificate. */
  readonly certificate: string;
  close(): void;
}

/** `destination`: the plain server, host and port. */
export async function startTlsFront(name: string, destination: net.NetConnectOpts): Promise<TlsFront> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      keys,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      ],
    },
    webcrypto,
  );
  const privateKey = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  const pem = `${certificate.toString('pem')}\n`;
  const key = x509.PemConverter.encode(privateKey, x509.PemConverter.PrivateKeyTag);
  const sockets = new Set<net.Socket>();
  const server = tls.createServer({ cert: pem, key }, (socket) => {
    const upstream = net.connect(destination);
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on('error', () => one.destroy());
      one.once('close', () => sockets.delete(one));
    }
    socket.once('close', () => upstream.destroy());
    upstream.once('close', () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: { host: '127.0.0.1', port },
    certificate: pem,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
