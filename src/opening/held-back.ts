/** What the far end says is kept until something else is done; if that fails, the session fails with it. */
import type { ProxyError } from '../errors.ts';
import { asProxyError } from '../errors.ts';
import type { Session, SessionOutcome } from '../session/session.ts';
import type { DriveEvents } from './drive-session.ts';

type Stream = Parameters<DriveEvents['onData']>[1];

export class HeldBack {
  /** For the session. */
  readonly events: DriveEvents;
  readonly #outer: DriveEvents;
  readonly #ready: () => Promise<void>;
  readonly #held: [Buffer, Stream][] = [];
  #state: 'silent' | 'holding' | 'open' | 'failed' = 'silent';
  #outcome: SessionOutcome | undefined;
  #session: Session | undefined;

  /** `ready` is called at the first byte. */
  constructor(outer: DriveEvents, ready: () => Promise<void>) {
    this.#outer = outer;
    this.#ready = ready;
    this.events = {
      onStage: (stage) => outer.onStage(stage),
      onTerminated: () => outer.onTerminated?.(),
      onReady: (facts) => outer.onReady(facts),
      onWritable: () => outer.onWritable(),
      onDrained: () => outer.onDrained(),
      onNotice: (text) => outer.onNotice(text),
      onExitCode: (exitCode) => outer.onExitCode?.(exitCode),
      onFlag: (flag) => outer.onFlag?.(flag),
      onLink: (state) => outer.onLink?.(state),
      onData: (data, stream) => this.#onData(data, stream),
      onEnd: (outcome) => this.#onEnd(outcome),
    };
  }

  attach(session: Session): void {
    this.#session = session;
  }

  #onData(data: Buffer, stream: Stream): void {
    if (this.#state === 'open') {
      this.#outer.onData(data, stream);
      return;
    }
    if (this.#state === 'failed') return;
    // A view into a larger block; not read by anybody, so the session stops its far end by itself if it is much.
    this.#held.push([Buffer.from(data), stream]);
    if (this.#state === 'holding') return;
    this.#state = 'holding';
    this.#ready().then(
      () => this.#release(),
      (thrown: unknown) => this.#fail(asProxyError(thrown)),
    );
  }

  #release(): void {
    this.#state = 'open';
    for (const [data, stream] of this.#held.splice(0)) this.#outer.onData(data, stream);
    if (this.#outcome !== undefined) this.#outer.onEnd(this.#outcome);
  }

  #fail(error: ProxyError): void {
    this.#state = 'failed';
    // What ended it otherwise is told as it is.
    if (this.#outcome?.kind === 'ended') this.#outer.onEnd({ kind: 'failed', error });
    else if (this.#outcome !== undefined) this.#outer.onEnd(this.#outcome);
    else void this.#session?.terminate({ kind: 'failed', error });
  }

  #onEnd(outcome: SessionOutcome): void {
    if (this.#state !== 'holding') this.#outer.onEnd(outcome);
    else this.#outcome = outcome;
  }
}
