/**
 * A WebSocket that has been let in, until its first message shows a token: then it is its session's, or it is closed.
 * What comes before (HTTP upgrade, signature) is channel-door.ts.
 */
import type { ChannelOpen } from './call-log.ts';
import { isObject } from './checked-json.ts';
import { ClientLink } from './client-link.ts';
import type { ClientSocket } from './client-socket.ts';
import type { EmulatedSession } from './emulated-session.ts';
import { DEFAULT_OPEN_OUTCOME } from './faults.ts';
import type { OpenOutcome } from './faults.ts';
import type { Gateway } from './gateway.ts';
import type { World } from './world.ts';

/** A client that has connected must show its token within this time. */
const TOKEN_WAIT_MS = 10_000;

export class ChannelReception {
  readonly #world: World;
  readonly #gateway: Gateway;
  #outcomes: readonly OpenOutcome[] = [];
  #outcomesUsed = 0;

  constructor(world: World, gateway: Gateway) {
    this.#world = world;
    this.#gateway = gateway;
  }

  /** What is to happen to the next open: the next entry of the list in force; a new list starts at its first. */
  nextOutcome(): OpenOutcome {
    const { outcomes } = this.#world.faults.open;
    if (outcomes !== this.#outcomes) {
      this.#outcomes = outcomes;
      this.#outcomesUsed = 0;
    }
    const outcome = outcomes[this.#outcomesUsed];
    this.#outcomesUsed += 1;
    return outcome ?? DEFAULT_OPEN_OUTCOME;
  }

  /** The WebSocket is open; the first message decides. `cell`: of its URL. `isDoomed`: any token is refused. */
  welcome(socket: ClientSocket, open: ChannelOpen, cell: string, isDoomed: boolean): void {
    let session: EmulatedSession | undefined;
    let isRefused = false;
    const refuseToken = (why: string): void => {
      isRefused = true;
      open.outcome = why;
      link.close(this.#world.faults.open.badTokenCloseCode, 'Refused');
    };
    const { plain } = this.#world.clock;
    const tokenTimer = plain.setTimer(TOKEN_WAIT_MS, () => refuseToken('no token'));
    const link = new ClientLink(socket, plain, () => this.#world.faults, {
      onMessage: (data) => {
        if (session !== undefined) {
          session.fromClient(data);
          return;
        }
        if (isRefused) return;
        tokenTimer.cancel();
        const verdict = isDoomed ? 'token refused by a fault setting' : this.#readToken(data, open);
        if (verdict !== undefined) {
          refuseToken(verdict);
          return;
        }
        session = this.#gateway.find(open.sessionId);
        const isStale = cell !== session?.cells.at(-1);
        const isMuted = isStale && this.#world.faults.resume.oldUrl === 'silent';
        open.outcome = isMuted ? 'bound, stale URL' : 'bound';
        session?.attachClient(link, isMuted);
      },
      onGone: (code) => {
        tokenTimer.cancel();
        session?.clientGone(link, code);
      },
      onDrain: () => session?.clientDrained(),
    });
  }

  /** Undefined when the message opens the channel, else why not. */
  #readToken(data: Buffer, open: ChannelOpen): string | undefined {
    let input: unknown;
    try {
      input = JSON.parse(data.toString('utf8'));
    } catch {
      return 'first message is not OpenDataChannelInput';
    }
    if (!isObject(input)) return 'first message is not OpenDataChannelInput';
    open.requestId = text(input['RequestId']);
    open.clientId = text(input['ClientId']);
    open.clientVersion = text(input['ClientVersion']);
    const verdict = this.#gateway.useToken(text(input['TokenValue']) ?? '', open.sessionId);
    return verdict === 'accepted' ? undefined : `token ${verdict}`;
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
