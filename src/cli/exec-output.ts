/** What `exec` does with the output of its nodes: passes it on, puts the node before each line, or makes it JSON. */
import type { Writable } from 'node:stream';
import type { Instance } from '../aws/instance.ts';
import type { ProxyError } from '../errors.ts';
import type { OutputStream } from '../exec/run-command.ts';
import { printable } from './report.ts';

/** How one node's command ended. */
export type NodeEnd =
  | { readonly kind: 'exited'; readonly exitStatus: number | undefined }
  | { readonly kind: 'failed'; readonly error: ProxyError };

/** The output of one node. */
export interface NodeOutput {
  /** The session is on this instance. Before any write. */
  started?(instanceId: string): void;
  write(data: Buffer, stream: OutputStream, done: () => void): void;
  /** After the last write. */
  end(end: NodeEnd): void;
}

export interface OutputStreams {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** As it comes. */
export class PlainOutput implements NodeOutput {
  readonly #streams: OutputStreams;

  constructor(streams: OutputStreams) {
    this.#streams = streams;
  }

  write(data: Buffer, stream: OutputStream, done: () => void): void {
    this.#streams[stream].write(data, () => done());
  }

  end(): void {}
}

const LF = 0x0a;
/** A longer line is passed on in pieces. Bytes. */
const MAX_LINE_BYTES = 65_536;

/** Whole lines, each with the name of the node, so that those of several nodes can be told apart. */
export class PrefixedOutput implements NodeOutput {
  readonly #streams: OutputStreams;
  readonly #prefix: Buffer;
  readonly #rests: Record<OutputStream, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };

  constructor(streams: OutputStreams, label: string) {
    this.#streams = streams;
    this.#prefix = Buffer.from(`${printable(label)}: `);
  }

  write(data: Buffer, stream: OutputStream, done: () => void): void {
    const bytes = Buffer.concat([this.#rests[stream], data]);
    const lines: Buffer[] = [];
    let from = 0;
    for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
      lines.push(this.#prefix, bytes.subarray(from, at + 1));
      from = at + 1;
    }
    if (bytes.length - from > MAX_LINE_BYTES) {
      lines.push(this.#prefix, bytes.subarray(from), Buffer.of(LF));
      from = bytes.length;
    }
    this.#rests[stream] = Buffer.from(bytes.subarray(from));
    if (lines.length === 0) done();
    else this.#streams[stream].write(Buffer.concat(lines), () => done());
  }

  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = this.#rests[stream];
      if (rest.length > 0) {
        this.#streams[stream].write(Buffer.concat([this.#prefix, rest, Buffer.of(LF)]));
      }
    }
  }
}

/** Most bytes kept of one node's output. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;
/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;

/** One line of JSON when the command has ended. Output that is not UTF-8 is in base64, under another name. */
export class JsonOutput implements NodeOutput {
  readonly #stdout: Writable;
  readonly #target: string;
  readonly #name: string | undefined;
  #instanceId: string | undefined;
  readonly #chunks: Record<OutputStream, Buffer[]> = { stdout: [], stderr: [] };
  #bytes = 0;
  #isTruncated = false;

  /** `instance` undefined: a target that nothing is known of but its text. */
  constructor(stdout: Writable, target: string, instance: Instance | undefined) {
    this.#stdout = stdout;
    this.#target = target;
    this.#instanceId = instance?.instanceId;
    this.#name = instance?.name;
  }

  started(instanceId: string): void {
    this.#instanceId = instanceId;
  }

  write(data: Buffer, stream: OutputStream, done: () => void): void {
    this.#bytes += data.length;
    if (this.#bytes > MAX_JSON_BYTES) this.#isTruncated = true;
    else this.#chunks[stream].push(data);
    done();
  }

  end(end: NodeEnd): void {
    const error = end.kind === 'failed' ? end.error : undefined;
    const facts = {
      schema: SCHEMA,
      target: this.#target,
      instanceId: this.#instanceId ?? null,
      name: this.#name ?? null,
      exitStatus: end.kind === 'exited' ? (end.exitStatus ?? null) : null,
      ...textOf('stdout', this.#chunks.stdout),
      ...textOf('stderr', this.#chunks.stderr),
      isTruncated: this.#isTruncated,
      error:
        error === undefined ? null : { code: error.code, message: error.message, hint: error.hint ?? null },
    };
    this.#stdout.write(`${JSON.stringify(facts)}\n`);
  }
}

function textOf(name: OutputStream, chunks: readonly Buffer[]): Readonly<Record<string, string>> {
  const bytes = Buffer.concat(chunks);
  const text = bytes.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(bytes);
  return isText ? { [name]: text } : { [`${name}Base64`]: bytes.toString('base64') };
}
