/**
 * A pause that the service asks for: no new stream data until it is over. start_publication and a new link end it at
 * once, and so does any sign of life of the far end, but not one that was under way when the pause came: what comes
 * within one retransmission timeout answers what was sent before, and counts only when that time has passed.
 */
export class Pause {
  #signsCountFrom: number | undefined;
  #endsAt: number | undefined;

  get isOn(): boolean {
    return this.#signsCountFrom !== undefined;
  }

  /** The service asks for it, or asks again. `timeoutMs`: the retransmission timeout. */
  begin(now: number, timeoutMs: number): void {
    this.#signsCountFrom = now + timeoutMs;
    this.#endsAt = undefined;
  }

  end(): void {
    this.#signsCountFrom = undefined;
    this.#endsAt = undefined;
  }

  /** The far end has acknowledged or sent something. */
  signOfLife(now: number): void {
    if (this.#signsCountFrom === undefined) return;
    this.#endsAt ??= Math.max(now, this.#signsCountFrom);
    this.tick(now);
  }

  tick(now: number): void {
    if (this.#endsAt !== undefined && now >= this.#endsAt) this.end();
  }

  /** When `tick` changes something. */
  deadline(): number | undefined {
    return this.#endsAt;
  }
}
