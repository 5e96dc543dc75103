/**
 * Everything the service side can be told to do wrong, or in one of several ways that AWS does not document:
 * one object, defaults for all of it. docs/emulator.md lists each setting; a test compares the two.
 *
 * Durations are milliseconds and 0 switches a limit off. `fault-settings.ts` checks what comes from outside.
 */
import type { MessageRule } from './message-rule.ts';
import type { BucketRate } from './token-bucket.ts';

/** What happens to one attempt to open a data channel; later attempts take the next entry of the list. */
export interface OpenOutcome {
  /**
   * 'normal'; 'hang': the upgrade is never answered; 'status': refused with `status`; 'reset': TCP reset instead of
   * an answer; 'bad-token': upgraded, then the token is refused; 'ignore': upgraded, then nothing is ever read.
   */
  readonly kind: 'normal' | 'hang' | 'status' | 'reset' | 'bad-token' | 'ignore';
  /** HTTP status for 'status'. */
  readonly status: number;
  /** Waits so long before answering. */
  readonly delayMs: number;
}

/** An API call that does not get its answer. */
export interface ApiFailure {
  /** 'ssm:StartSession', 'ssm:*' or '*'. */
  readonly operation: string;
  /** 'error': an AWS error; 'hang': no answer; 'reset': the connection is cut. */
  readonly kind: 'error' | 'hang' | 'reset';
  /** AWS error code for 'error', in the words of the API. */
  readonly code: string;
  readonly message: string;
  /** HTTP status for 'error'. */
  readonly status: number;
  /** So many calls; 0 is without end. */
  readonly times: number;
  /** From the moment it was set; 0 is without end. */
  readonly forMs: number;
  /** Only calls that name this instance; '' is any. */
  readonly target: string;
}

export interface Faults {
  /** Of the random generator behind `probability`. */
  seed: number;
  /** Message rules (message-rule.ts), first match wins. */
  rules: readonly MessageRule[];
  link: {
    /** One way, on the data channel and its opening; order is kept. */
    latencyMs: number;
    /** 0: no cap. */
    bytesPerSecondToClient: number;
    bytesPerSecondToAgent: number;
    /** Half-open: messages vanish, the socket stays. */
    blackhole: 'none' | 'to-client' | 'to-agent' | 'both';
    /** WebSocket pings of the client are answered. */
    answerPings: boolean;
    /** TCP reset of the client's socket this often. */
    cutEveryMs: number;
    /** Larger client messages close the channel with 1009; 0: 16 MiB. */
    maxMessageBytes: number;
    /** Messages to the client go as WebSocket fragments of this size. */
    fragmentBytes: number;
  };
  accept: {
    /** Wait between a TCP connection and the first byte read from it (round trips of TCP and TLS). */
    delayMs: number;
    /** Connections are accepted and never answered. */
    silent: boolean;
  };
  open: {
    /** One entry per open, in order; then normal. */
    outcomes: readonly OpenOutcome[];
    /** Unsigned opens get 403. */
    requireSignature: boolean;
    /** StreamUrls carry a signature of their own. */
    presignedUrl: boolean;
    tokenSingleUse: boolean;
    tokenLifetimeMs: number;
    badTokenCloseCode: number;
    /** start_publication is the first message of every channel. */
    startPublicationFirst: boolean;
  };
  /** What the service does when one side's channel is away. */
  absent: {
    /** The agent's messages for a client that was here and is gone. */
    clientFrames: 'drop' | 'keep';
    /** Its messages before the client's first channel is open. */
    firstFrames: 'drop' | 'keep';
    /** pause_publication to the agent when the client's channel goes. */
    pauseAgent: boolean;
    /** start_publication to the agent when the client is back. */
    startAgent: boolean;
    /** pause_publication to the client for each message it sends to an absent agent. */
    pauseClient: boolean;
  };
  resume: {
    /** ResumeSession of an ended session. */
    ended: 'error' | 'empty-token';
    /** StreamUrl in its answer. */
    streamUrl: 'same' | 'other' | 'none';
    /** With 'other': what a reconnect to the earlier URL finds. */
    oldUrl: 'works' | 'silent';
  };
  agent: {
    /** From StartSession to the agent's first message. */
    startDelayMs: number;
    /** How long its own channel stays away when it drops. */
    reconnectMs: number;
    dropEveryMs: number;
  };
  lifetimes: {
    /** Both channels are closed with 1000 "Bye" at this age. */
    channelMs: number;
    /** Session without stream messages. */
    idleMs: number;
    sessionMs: number;
    /** Output of the channel_closed that ends it. */
    idleOutput: string;
    sessionOutput: string;
  };
  rateLimit: {
    /** Data messages of the client; above it for `windowMs`, pause_publication. */
    messagesPerSecond: number;
    windowMs: number;
    /** The session is closed so long after the pause. */
    closeAfterMs: number;
  };
  /** Form of the service's own messages. */
  notices: {
    /** HeaderLength 112 without PayloadType. */
    shortHeader: boolean;
    /** Type padded with NUL instead of space. */
    nulPadding: boolean;
  };
  api: {
    /** Before each answer. */
    latencyMs: number;
    /** At most so many items per page, whatever was asked. */
    pageItems: number;
    failures: readonly ApiFailure[];
    /** By operation, e.g. {"ssm:StartSession": {perSecond: 3, burst: 3}}. */
    throttles: Readonly<Record<string, BucketRate>>;
  };
}

export const DEFAULT_API_FAILURE: ApiFailure = {
  operation: '*',
  kind: 'error',
  code: 'InternalServerError',
  message: 'An error occurred on the server side.',
  status: 500,
  times: 0,
  forMs: 0,
  target: '',
};

export const DEFAULT_OPEN_OUTCOME: OpenOutcome = { kind: 'normal', status: 403, delayMs: 0 };

/** A healthy service. Where AWS documents nothing, the choice and its reason are in docs/emulator.md. */
export function defaultFaults(): Faults {
  return {
    seed: 1,
    rules: [],
    link: {
      latencyMs: 0,
      bytesPerSecondToClient: 0,
      bytesPerSecondToAgent: 0,
      blackhole: 'none',
      answerPings: true,
      cutEveryMs: 0,
      maxMessageBytes: 0,
      fragmentBytes: 0,
    },
    accept: { delayMs: 0, silent: false },
    open: {
      outcomes: [],
      requireSignature: false,
      presignedUrl: false,
      tokenSingleUse: true,
      tokenLifetimeMs: 60_000,
      badTokenCloseCode: 1008,
      startPublicationFirst: true,
    },
    absent: {
      clientFrames: 'drop',
      firstFrames: 'drop',
      pauseAgent: true,
      startAgent: true,
      pauseClient: true,
    },
    resume: { ended: 'error', streamUrl: 'same', oldUrl: 'works' },
    agent: { startDelayMs: 40, reconnectMs: 300, dropEveryMs: 0 },
    lifetimes: {
      channelMs: 3_600_000,
      idleMs: 1_200_000,
      sessionMs: 0,
      idleOutput: '',
      sessionOutput: '',
    },
    rateLimit: { messagesPerSecond: 1000, windowMs: 2000, closeAfterMs: 0 },
    notices: { shortHeader: true, nulPadding: true },
    api: { latencyMs: 0, pageItems: 0, failures: [], throttles: {} },
  };
}
