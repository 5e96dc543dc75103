/**
 * The emulated session worker: one per session, as the real agent starts one process per session (protocol.md 8).
 *
 * It performs the handshake where the session type has one, then runs the plugin of the type, and at the end gives
 * unacknowledged messages up to 2 s before it reports the task's result. It knows nothing of clients: whether one
 * is there shows only in acknowledgements and in the service's pause.
 */
import type { Clock, TimerHandle } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { LogFields } from '../log.ts';
import { PAYLOAD_TYPE } from '../protocol/message.ts';
import { compareVersions } from '../protocol/versions.ts';
import type { PendingVerdict } from './agent-channel.ts';
import { AgentChannel } from './agent-channel.ts';
import { AgentHandshake } from './agent-handshake.ts';
import type {
  AgentEnvironment,
  AgentSession,
  AgentSessionRequest,
  AgentStats,
  AgentUplink,
  StartAgentSession,
} from './agent-link.ts';
import type { PluginHost, SessionPlugin, TaskStatus } from './agent-plugin.ts';
import { blockForever, ERROR_TITLE } from './agent-plugin.ts';
import { createPlugin, requiresHandshake } from './agent-types.ts';

/** How long the end waits for the last acknowledgements. */
const FLUSH_LIMIT_MS = 2000;
/** The result is never reported from within the handling of a message: its acknowledgement comes first. */
const FLUSH_CHECK_MS = 1;
/** A session closed by the service ends as Cancelled from this agent on, as Success before. */
const CANCELLED_STATUS_FROM = '3.3.1311.0';

/** Starts a session with the system's clock. */
export const startAgentSession: StartAgentSession = (request, environment, uplink) =>
  createAgentSession(request, environment, uplink, systemClock);

/** Starts a session; it runs when this returns, and ends with one call of `uplink.complete` or by `kill`. */
export function createAgentSession(
  request: AgentSessionRequest,
  environment: AgentEnvironment,
  uplink: AgentUplink,
  clock: Clock,
): AgentSession {
  const worker = new SessionWorker(request, environment, uplink, clock);
  worker.start();
  return worker;
}

type Phase = 'handshake' | 'running' | 'flushing' | 'crashed' | 'over';

class SessionWorker implements AgentSession, PluginHost {
  readonly request: AgentSessionRequest;
  readonly environment: AgentEnvironment;
  readonly channel: AgentChannel;
  readonly clock: Clock;
  clientVersion = '';
  readonly #uplink: AgentUplink;
  #phase: Phase = 'handshake';
  #handshake: AgentHandshake | undefined;
  #plugin: SessionPlugin | undefined;
  /** The service closed the session; the worker looks at it when the handshake is over. */
  #isCancelled = false;
  #result: { readonly status: TaskStatus; readonly output: string } | undefined;
  #endTimer: TimerHandle | undefined;

  constructor(
    request: AgentSessionRequest,
    environment: AgentEnvironment,
    uplink: AgentUplink,
    clock: Clock,
  ) {
    this.request = request;
    this.environment = environment;
    this.clock = clock;
    this.#uplink = uplink;
    this.channel = new AgentChannel({
      agentVersion: request.agentVersion,
      environment,
      uplink,
      clock,
      events: {
        onStreamMessage: (payloadType, payload) => this.#onStreamMessage(payloadType, payload),
        onClosedByService: () => this.#onClosedByService(),
        onActive: () => this.#plugin?.onActive(),
        onAcknowledged: () => this.#onAcknowledged(),
      },
    });
  }

  start(): void {
    // The real agent tells the service only (agent_session_state); the client never sees it.
    this.trace('session-state', { state: 'Connected' });
    const isEncrypted = this.request.kmsKeyId !== undefined && this.request.sessionType !== 'Port';
    if (!requiresHandshake(this.request.sessionType) && !isEncrypted) {
      this.#run();
      return;
    }
    if (isEncrypted) this.channel.requireEncryption();
    this.#handshake = new AgentHandshake({
      request: this.request,
      environment: this.environment,
      channel: this.channel,
      clock: this.clock,
      isEncrypted,
      onComplete: (clientVersion) => {
        this.clientVersion = clientVersion;
        this.#run();
      },
      onFailed: (reason) => {
        this.finish('Failed', `${ERROR_TITLE}Encountered error while initiating handshake. ${reason}`);
      },
    });
    this.#handshake.start();
  }

  receive(message: Buffer): void {
    this.channel.receive(message);
  }

  channelDown(): void {
    this.trace('channel-down');
    this.channel.linkDown();
  }

  channelUp(): void {
    this.trace('channel-up');
    this.channel.linkUp();
  }

  kill(): void {
    if (this.#phase === 'over') return;
    this.trace('killed');
    this.#tearDown();
  }

  stats(): AgentStats {
    return this.channel.stats();
  }

  trace(event: string, fields?: LogFields): void {
    this.#uplink.trace(event, fields);
  }

  finish(status: TaskStatus, output: string): void {
    if (this.#phase !== 'handshake' && this.#phase !== 'running') return;
    this.#phase = 'flushing';
    this.#result = { status, output };
    this.#handshake?.stop();
    this.#plugin?.stop();
    this.trace('finishing', { status, unackedMessages: this.channel.unackedMessages });
    this.#endTimer = this.clock.setTimer(FLUSH_CHECK_MS, () => {
      if (this.channel.unackedMessages === 0) this.#complete();
      else this.#endTimer = this.clock.setTimer(FLUSH_LIMIT_MS, () => this.#complete());
    });
  }

  terminate(): PendingVerdict {
    // Nobody receives a second cancellation: the real agent's reader hangs there.
    if (this.#phase !== 'running') return blockForever();
    this.trace('terminate-flag');
    this.finish('Success', '');
    return 'handled';
  }

  crash(output: string): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'crashed';
    this.#result = { status: 'Failed', output };
    this.trace('worker-crashed');
    this.channel.close();
    this.#plugin?.kill();
    this.#endTimer = this.clock.setTimer(this.environment.behaviour.portFailureMs, () => this.#complete());
  }

  #run(): void {
    if (this.#phase !== 'handshake') return;
    this.#phase = 'running';
    if (this.#isCancelled) {
      this.finish('Cancelled', '');
      return;
    }
    this.#plugin = createPlugin(this);
    this.#plugin.start();
  }

  #onStreamMessage(payloadType: number | undefined, payload: Buffer): PendingVerdict {
    if (this.#handshake !== undefined) {
      if (payloadType === PAYLOAD_TYPE.HANDSHAKE_RESPONSE) return this.#handshake.handleResponse(payload);
      if (payloadType === PAYLOAD_TYPE.ENC_CHALLENGE_RESPONSE) {
        return this.#handshake.handleChallengeResponse(payload);
      }
    }
    if (this.#plugin === undefined) {
      // Acknowledged and thrown away while the handshake is not complete.
      this.trace('discarded', { payloadType, bytes: payload.length });
      return 'handled';
    }
    return this.#plugin.handle(payloadType, payload);
  }

  #onClosedByService(): void {
    this.#isCancelled = true;
    // The agent's master process hears it on the control channel and waits for the dead worker no longer.
    if (this.#phase === 'crashed') this.#complete();
    if (this.#phase !== 'running') return;
    const isLateAgent = compareVersions(this.request.agentVersion, CANCELLED_STATUS_FROM) >= 0;
    this.finish(isLateAgent ? 'Cancelled' : 'Success', '');
  }

  #onAcknowledged(): void {
    if (this.#phase === 'flushing') {
      if (this.channel.unackedMessages === 0) this.#complete();
      return;
    }
    this.#plugin?.onAcknowledged();
  }

  #complete(): void {
    const result = this.#result;
    if (this.#phase === 'over' || result === undefined) return;
    this.#phase = 'over';
    this.#endTimer?.cancel();
    this.channel.close();
    this.#uplink.complete(result.status, result.output);
  }

  #tearDown(): void {
    this.#phase = 'over';
    this.#endTimer?.cancel();
    this.channel.close();
    this.#handshake?.stop();
    this.#plugin?.kill();
  }
}
