/**
 * What a pump reads from: like a blocking read on a file descriptor, turned into "what is there now".
 *
 * StreamSource wraps a Node readable stream. It holds at most one chunk of it (64 KiB for a socket) and stops the
 * stream meanwhile, so that a pump that does not read is felt by the far end.
 */
import type { Readable } from 'node:stream';

export interface PumpSource {
  /** Up to `maxBytes`, or undefined when there is nothing now; then `onReady` is called when that may have changed. */
  read(maxBytes: number): Buffer | undefined;
  /** `end` and `failed` only when everything before them was read. */
  readonly state: 'open' | 'end' | 'failed';
  onReady: () => void;
}

export class StreamSource implements PumpSource {
  onReady: () => void = () => {};
  readonly #stream: Readable;
  #chunk: Buffer | undefined;
  #state: PumpSource['state'] = 'open';

  /** `stream` must have been given no reader yet. */
  constructor(stream: Readable) {
    this.#stream = stream;
    stream.pause();
    stream.on('data', (chunk: Buffer) => {
      // A stream may hand over a chunk it had buffered before the pause.
      this.#chunk = this.#chunk === undefined ? chunk : Buffer.concat([this.#chunk, chunk]);
      this.onReady();
      if (this.#chunk !== undefined) stream.pause();
    });
    stream.once('end', () => this.#finish('end'));
    stream.once('error', () => this.#finish('failed'));
    stream.once('close', () => this.#finish('failed'));
  }

  get state(): PumpSource['state'] {
    return this.#chunk === undefined ? this.#state : 'open';
  }

  read(maxBytes: number): Buffer | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) {
      if (this.#state === 'open' && this.#stream.isPaused()) this.#stream.resume();
      return undefined;
    }
    if (chunk.length <= maxBytes) {
      this.#chunk = undefined;
      return chunk;
    }
    this.#chunk = chunk.subarray(maxBytes);
    return chunk.subarray(0, maxBytes);
  }

  #finish(state: 'end' | 'failed'): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.onReady();
  }
}
