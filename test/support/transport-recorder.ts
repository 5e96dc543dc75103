/** The events of a transport, as a list and as conditions to wait for. */
import { EventEmitter, once } from 'node:events';
import type { TransportClose, TransportEvents } from '../../src/transport/transport.ts';

export class TransportRecorder implements TransportEvents {
  readonly events: string[] = [];
  readonly messages: Buffer[] = [];
  receivedBytes = 0;
  drains = 0;
  pongs = 0;
  closed: TransportClose | undefined;
  closes = 0;
  isOpen = false;
  readonly #emitter = new EventEmitter();

  onOpen(): void {
    this.isOpen = true;
    this.#record('open');
  }
  onMessage(data: Buffer, isBinary: boolean): void {
    this.messages.push(data);
    this.receivedBytes += data.length;
    this.#record(isBinary ? 'binary' : 'text');
  }
  onPong(): void {
    this.pongs += 1;
    this.#record('pong');
  }
  onDrain(): void {
    this.drains += 1;
    this.#record('drain');
  }
  onClose(info: TransportClose): void {
    this.closed = info;
    this.closes += 1;
    this.#record('close');
  }

  /** Resolves as soon as `condition` holds; it is looked at after each event. Rejects when the end comes first. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closed !== undefined) throw new Error('the transport has closed', { cause: this.closed });
      await once(this.#emitter, 'event');
    }
  }

  async close(): Promise<TransportClose> {
    await this.until(() => this.closed !== undefined);
    if (this.closed === undefined) throw new Error('unreachable');
    return this.closed;
  }

  #record(event: string): void {
    this.events.push(event);
    this.#emitter.emit('event');
  }
}
