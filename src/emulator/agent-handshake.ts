/**
 * The agent's side of the session handshake (protocol.md 5): request, KMS challenge, complete.
 *
 * Its clocks start when the agent is ready, not when the client connects. The habit kept on purpose: a second
 * HandshakeResponse with a new sequence number blocks the reader for ever, as nobody waits for it.
 */
import { randomBytes } from 'node:crypto';
import type { Clock, TimerHandle } from '../clock.ts';
import { PAYLOAD_TYPE } from '../protocol/message.ts';
import type { HandshakeResponse, RequestedClientAction } from '../protocol/payloads.ts';
import { ACTION_STATUS, ACTION_TYPE, formatJson, parseHandshakeResponse } from '../protocol/payloads.ts';
import { compareVersions } from '../protocol/versions.ts';
import type { AgentChannel, PendingVerdict, Verdict } from './agent-channel.ts';
import { AgentCipher, DATA_KEY_BYTES } from './agent-cipher.ts';
import type { AgentEnvironment, AgentSessionRequest } from './agent-link.ts';
import { blockForever } from './agent-plugin.ts';

const CHALLENGE_BYTES = 64;
const RANDOM_CHALLENGE_BYTES = 16;
/** The KMS action has a random challenge from this agent on. */
const RANDOM_CHALLENGE_FROM = '3.3.808.0';
/** Clients up to this one cannot show stderr apart. */
const CLIENT_WITHOUT_SEPARATION = '1.2.295';
const RESPONSE_TIMEOUT_TEXT =
  'Handshake timed out. Please ensure that you have the latest version of the session manager plugin.';
const CHALLENGE_TIMEOUT_TEXT = 'Timed out waiting for encryption challenge.';

export interface HandshakeOptions {
  readonly request: AgentSessionRequest;
  readonly environment: AgentEnvironment;
  readonly channel: AgentChannel;
  readonly clock: Clock;
  /** KMS is used: kmsKeyId is set and the session type is not Port. */
  readonly isEncrypted: boolean;
  readonly onComplete: (clientVersion: string) => void;
  readonly onFailed: (reason: string) => void;
}

type Phase = 'waiting' | 'response' | 'challenge' | 'over';

export class AgentHandshake {
  readonly #options: HandshakeOptions;
  readonly #startedAt: number;
  readonly #randomChallenge: string;
  readonly #challenge = randomBytes(CHALLENGE_BYTES);
  #phase: Phase = 'waiting';
  #timer: TimerHandle | undefined;
  #clientVersion = '';
  #error: string | undefined;
  #cipher: AgentCipher | undefined;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#randomChallenge = randomBytes(RANDOM_CHALLENGE_BYTES).toString('base64');
  }

  start(): void {
    const delayMs = this.#options.environment.behaviour.handshakeDelayMs;
    if (delayMs > 0) this.#timer = this.#options.clock.setTimer(delayMs, () => this.#sendRequest());
    else this.#sendRequest();
  }

  /** No clock runs any more. */
  stop(): void {
    this.#phase = 'over';
    this.#timer?.cancel();
  }

  handleResponse(payload: Buffer): PendingVerdict {
    let response: HandshakeResponse;
    try {
      response = parseHandshakeResponse(payload);
    } catch {
      return 'refused';
    }
    if (this.#phase !== 'response') return blockForever();
    let ciphertextKey: unknown;
    for (const action of response.ProcessedClientActions) {
      if (action.ActionStatus !== ACTION_STATUS.SUCCESS) {
        this.#error = `${action.ActionType} failed on client with status ${action.ActionStatus} error: ${action.Error}`;
      } else if (action.ActionType === ACTION_TYPE.KMS_ENCRYPTION) {
        ciphertextKey = action.ActionResult;
      }
    }
    this.#clientVersion = response.ClientVersion;
    if (ciphertextKey !== undefined && this.#options.isEncrypted) {
      return this.#fetchKey(ciphertextKey).then(() => this.#responseArrived());
    }
    return this.#responseArrived();
  }

  handleChallengeResponse(payload: Buffer): PendingVerdict {
    const answer = parseChallenge(payload);
    if (answer === undefined) return 'refused';
    const plain = this.#cipher?.decrypt(answer);
    if (plain === undefined || !plain.equals(this.#challenge)) {
      // Not acknowledged and remembered: the session runs into the timeout, a later right answer does not help.
      this.#error = 'Encryption challenge does not match!';
      return 'refused';
    }
    if (this.#phase !== 'challenge') return blockForever();
    if (this.#error === undefined) this.#complete();
    else this.#fail(this.#error);
    return 'handled';
  }

  #sendRequest(): void {
    const { request, environment, channel } = this.#options;
    const isPort = request.sessionType === 'Port';
    const actions: RequestedClientAction[] = [
      {
        ActionType: ACTION_TYPE.SESSION_TYPE,
        ActionParameters: {
          SessionType: request.sessionType,
          Properties: isPort ? request.properties : null,
        },
      },
    ];
    if (this.#options.isEncrypted) {
      actions.push({
        ActionType: ACTION_TYPE.KMS_ENCRYPTION,
        ActionParameters: { KMSKeyId: request.kmsKeyId, ...this.#randomChallengeParameter() },
      });
    }
    const extra = environment.behaviour.extraClientAction;
    if (extra !== undefined) actions.push({ ActionType: extra, ActionParameters: null });
    this.#phase = 'response';
    this.#startClock(RESPONSE_TIMEOUT_TEXT);
    channel.send(
      PAYLOAD_TYPE.HANDSHAKE_REQUEST,
      formatJson({ AgentVersion: request.agentVersion, RequestedClientActions: actions }),
    );
  }

  #randomChallengeParameter(): Readonly<Record<string, string>> {
    if (compareVersions(this.#options.request.agentVersion, RANDOM_CHALLENGE_FROM) < 0) return {};
    return { Challenge: this.#randomChallenge };
  }

  async #fetchKey(actionResult: unknown): Promise<void> {
    const { request, environment, channel } = this.#options;
    const result = parseEncryptionResult(actionResult);
    if (result === undefined) {
      this.#error = 'unexpected end of JSON input';
      return;
    }
    const context: Record<string, string> = {
      'aws:ssm:SessionId': request.sessionId,
      'aws:ssm:TargetId': request.instanceId,
    };
    if (result.isChallengeAcknowledged) context['aws:ssm:RandomChallenge'] = this.#randomChallenge;
    try {
      const key = await environment.decryptDataKey(result.ciphertextKey, context);
      if (key.length !== DATA_KEY_BYTES) throw new Error(`data key has ${key.length} bytes`);
      this.#cipher = new AgentCipher(key);
      channel.setCipher(this.#cipher);
    } catch (error) {
      this.#error = `Fetching data key failed: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #responseArrived(): Verdict {
    // Ended meanwhile by its clock or by the session's end.
    if (this.#phase !== 'response') return 'refused';
    if (this.#error !== undefined) this.#fail(this.#error);
    else if (this.#options.isEncrypted) this.#sendChallenge();
    else this.#complete();
    return 'handled';
  }

  #sendChallenge(): void {
    this.#phase = 'challenge';
    this.#startClock(CHALLENGE_TIMEOUT_TEXT);
    // A client that gave no key is asked nothing and runs into the timeout.
    if (this.#cipher === undefined) return;
    const sealed = this.#cipher.encrypt(this.#challenge).toString('base64');
    this.#options.channel.send(PAYLOAD_TYPE.ENC_CHALLENGE_REQUEST, formatJson({ Challenge: sealed }));
  }

  #complete(): void {
    this.stop();
    const { channel, clock } = this.#options;
    const nanoseconds = Math.round((clock.now() - this.#startedAt) * 1e6);
    channel.send(
      PAYLOAD_TYPE.HANDSHAKE_COMPLETE,
      formatJson({ HandshakeTimeToComplete: nanoseconds, CustomerMessage: this.#customerMessage() }),
    );
    this.#options.onComplete(this.#clientVersion);
  }

  #customerMessage(): string {
    const { request, isEncrypted } = this.#options;
    let text = '';
    const isOldClient = compareVersions(this.#clientVersion, CLIENT_WITHOUT_SEPARATION) <= 0;
    if (request.separateOutputStream && isOldClient) {
      text +=
        'Please update session manager plugin version (minimum required version 1.2.312.0) ' +
        'for fully support of separate StdOut/StdErr output.\r\n';
    }
    if (isEncrypted) text += 'This session is encrypted using AWS KMS.';
    return text;
  }

  #fail(reason: string): void {
    this.stop();
    this.#options.onFailed(reason);
  }

  #startClock(text: string): void {
    this.#timer?.cancel();
    const { clock, environment } = this.#options;
    this.#timer = clock.setTimer(environment.behaviour.handshakeTimeoutMs, () => this.#fail(text));
  }
}

function parseEncryptionResult(
  value: unknown,
): { ciphertextKey: Buffer; isChallengeAcknowledged: boolean } | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { KMSCipherTextKey: key, ChallengeAcknowledgement: acknowledged } = value as Record<string, unknown>;
  if (typeof key !== 'string') return undefined;
  return { ciphertextKey: Buffer.from(key, 'base64'), isChallengeAcknowledged: acknowledged === true };
}

function parseChallenge(payload: Buffer): Buffer | undefined {
  try {
    const content: unknown = JSON.parse(payload.toString('utf8'));
    if (typeof content !== 'object' || content === null) return undefined;
    const { Challenge: challenge } = content as Record<string, unknown>;
    return typeof challenge === 'string' ? Buffer.from(challenge, 'base64') : undefined;
  } catch {
    return undefined;
  }
}
