/**
 * The emulator's service and agent on a virtual clock, without HTTP and sockets: its gateway, relay, links, faults and
 * agents are the real ones; in memory are only the WebSocket, the TCP connection to the node's port, and the way to
 * the API.
 */
import { translateAwsError } from '../../../src/aws/errors.ts';
import { createAgentSession } from '../../../src/emulator/agent.ts';
import type { NodeConnection } from '../../../src/emulator/agent-tcp.ts';
import { ApiFailures } from '../../../src/emulator/api/api-failures.ts';
import { Refusal } from '../../../src/emulator/api/refusal.ts';
import type { SsmCall } from '../../../src/emulator/api/ssm-session-calls.ts';
import {
  resumeSession,
  startSession,
  terminateSession,
} from '../../../src/emulator/api/ssm-session-calls.ts';
import type { ChannelOpen } from '../../../src/emulator/call-log.ts';
import { ChannelReception } from '../../../src/emulator/channel-reception.ts';
import type { EmulatedSession } from '../../../src/emulator/emulated-session.ts';
import type { FaultChange } from '../../../src/emulator/fault-settings.ts';
import { Gateway } from '../../../src/emulator/gateway.ts';
import type { Identity } from '../../../src/emulator/identities.ts';
import type { InstanceSpec } from '../../../src/emulator/instance-settings.ts';
import type { EmulatedInstance } from '../../../src/emulator/instance.ts';
import { ServiceClock } from '../../../src/emulator/service-clock.ts';
import { World } from '../../../src/emulator/world.ts';
import { ProxyError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { SessionApi, SessionGrant } from '../../../src/session/session.ts';
import type { Connect } from '../../../src/transport/transport.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import { MemoryWire } from './memory-wire.ts';

/** As in src/aws/request-handler.ts and src/transport/websocket.ts. */
const CALL_TIMEOUT_MS = 15_000;
const OPEN_TIMEOUT_MS = 15_000;
const REGION = 'us-east-1';
const ORIGIN = 'wss://service';

type SsmOperation = (call: SsmCall) => Record<string, unknown> | Promise<Record<string, unknown>>;

export interface SimulatedServiceOptions {
  readonly clock: VirtualClock;
  readonly faults: FaultChange;
  readonly instance: InstanceSpec;
  /** One to the node's port. */
  readonly dial: () => NodeConnection;
}

export class SimulatedService {
  readonly world: World;
  readonly instance: EmulatedInstance;
  readonly #clock: VirtualClock;
  readonly #gateway: Gateway;
  readonly #reception: ChannelReception;
  readonly #failures: ApiFailures;
  readonly #caller: Identity;

  constructor({ clock, faults, instance, dial }: SimulatedServiceOptions) {
    this.#clock = clock;
    this.world = new World({ region: REGION, clock: new ServiceClock(clock), log: silentLog });
    this.world.changeFaults(faults);
    this.instance = this.world.addInstance({ privateIp: '10.9.0.1', ...instance });
    this.#caller = this.world.identities.addUser();
    this.#gateway = new Gateway(
      this.world,
      (request, environment, uplink) =>
        createAgentSession(
          request,
          { ...environment, dial: () => Promise.resolve({ socket: dial() }) },
          uplink,
          clock,
        ),
      () => ORIGIN,
    );
    this.#reception = new ChannelReception(this.world, this.#gateway);
    this.#failures = new ApiFailures(this.world);
  }

  /** The newest session. */
  get session(): EmulatedSession {
    const [session] = this.#gateway.list();
    if (session === undefined) throw new Error('no session was started');
    return session;
  }

  close(): void {
    this.#gateway.close();
  }

  async start(): Promise<SessionGrant> {
    const call = this.#call({
      Target: this.instance.instanceId,
      DocumentName: 'AWS-StartSSHSession',
      Parameters: { portNumber: ['22'] },
    });
    return grantOf(await startSession(call));
  }

  /** Opens data channels: round trips for TCP, TLS and upgrade, then the token. */
  readonly connect: Connect = (url, events) => {
    const wire = new MemoryWire(this.#clock, events);
    const { latencyMs } = this.world.faults.link;
    const timeout = this.#clock.setTimer(OPEN_TIMEOUT_MS, () =>
      wire.fail(refused('CHANNEL_OPEN_FAILED', 'no answer')),
    );
    const outcome = this.#reception.nextOutcome();
    this.#clock.setTimer(outcome.delayMs + 6 * latencyMs, () => {
      if (outcome.kind === 'hang' || wire.isClientOver) return;
      timeout.cancel();
      switch (outcome.kind) {
        case 'status':
          wire.fail(
            refused(outcome.status === 403 ? 'ACCESS_DENIED' : 'CHANNEL_OPEN_FAILED', 'HTTP', outcome.status),
          );
          return;
        case 'reset':
          wire.fail(refused('CHANNEL_OPEN_FAILED', 'reset'));
          return;
        case 'ignore':
          wire.socket.forgetInput();
          break;
        case 'normal':
        case 'bad-token':
          this.#reception.welcome(
            wire.socket,
            channelOpen(url, this.#clock),
            cellOf(url),
            outcome.kind === 'bad-token',
          );
      }
      wire.open();
    });
    return wire.transport;
  };

  /** The calls that a session makes, with the emulator's answers and our own reading of its errors. */
  sessionApi(sessionId: string): SessionApi {
    return {
      resume: async (signal) => {
        const answer = await this.#answer('ResumeSession', resumeSession, sessionId, signal);
        if (answer['TokenValue'] === '') throw new ProxyError('SESSION_GONE', 'an empty token');
        return grantOf(answer);
      },
      terminate: async (signal) => {
        await this.#answer('TerminateSession', terminateSession, sessionId, signal);
      },
      dataKey: () => Promise.reject(new Error('port sessions are not encrypted')),
      diagnose: async (signal) => {
        await this.#wait(2 * this.world.faults.link.latencyMs, signal);
        const isRunning = this.instance.state === 'running';
        return isRunning ? undefined : new ProxyError('TARGET_TERMINATED', 'terminated');
      },
    };
  }

  async #answer(
    name: string,
    operation: SsmOperation,
    sessionId: string,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>> {
    await this.#wait(8 * this.world.faults.link.latencyMs, signal);
    const failure = this.#failures.next(`ssm:${name}`, () => false);
    if (failure?.kind === 'hang') await this.#wait(CALL_TIMEOUT_MS, signal);
    if (failure !== undefined && failure.kind !== 'error') {
      throw new ProxyError('ENDPOINT_UNREACHABLE', `${name}: ${failure.kind}`);
    }
    try {
      if (failure !== undefined) throw new Refusal(failure.code, failure.message, failure.status);
      return await operation(this.#call({ SessionId: sessionId }));
    } catch (error) {
      throw translateAwsError(error instanceof Refusal ? sdkError(error) : error, name);
    }
  }

  /** Rejects when the signal ends the wait. */
  #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        timer.cancel();
        reject(new ProxyError('CANCELLED', 'cancelled'));
      };
      const timer = this.#clock.setTimer(delayMs, () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  #call(input: Readonly<Record<string, unknown>>): SsmCall {
    return { world: this.world, gateway: this.#gateway, caller: this.#caller, region: REGION, input };
  }
}

/** The SDK's shape of an error answer. */
function sdkError({ code, message, status }: Refusal): Error {
  const metadata = { $fault: 'client', $metadata: { httpStatusCode: status } };
  return Object.assign(new Error(message), { name: code, ...metadata });
}

function refused(code: 'ACCESS_DENIED' | 'CHANNEL_OPEN_FAILED', text: string, httpStatus?: number) {
  const error = new ProxyError(code, text);
  return { code: 1006, reason: '', error, ...(httpStatus !== undefined && { httpStatus }) };
}

function grantOf(answer: Record<string, unknown>): SessionGrant {
  const text = (name: string): string => {
    const value = answer[name] ?? '';
    if (typeof value !== 'string') throw new Error(`${name} is no text`);
    return value;
  };
  return { sessionId: text('SessionId'), tokenValue: text('TokenValue'), streamUrl: text('StreamUrl') };
}

function cellOf(url: string): string {
  return url.slice(url.indexOf('cell-number=') + 'cell-number='.length);
}

function channelOpen(url: string, clock: VirtualClock): ChannelOpen {
  return {
    at: clock.wallNow(),
    sessionId: /data-channel\/([^?]+)/.exec(url)?.[1] ?? '',
    requestUrl: url,
    signature: 'none',
    accessKeyId: undefined,
    userAgent: undefined,
    requestId: undefined,
    clientId: undefined,
    clientVersion: undefined,
    outcome: 'pending',
  };
}
