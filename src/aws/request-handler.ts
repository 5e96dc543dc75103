/**
 * The SDK's HTTP layer on our network: each request goes through the agent for its own host (proxy, certificate
 * trust), within bounded times, and an error remembers which endpoint it was about.
 */
import type http from 'node:http';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { Network } from '../transport/network.ts';
import type { ApiTimeouts, ClockSkew } from './api-timeouts.ts';
import { sdkLogger } from './sdk-logger.ts';
import type { Log } from '../log.ts';

type HandlerRequest = Parameters<NodeHttpHandler['handle']>[0];
type HandlerOptions = Parameters<NodeHttpHandler['handle']>[1];
type HandlerAnswer = ReturnType<NodeHttpHandler['handle']>;

/** Endpoint of a failed request, by its error. */
const endpoints = new WeakMap<Error, string>();

/** `https://host:port` that an error of an API call was about, for messages. */
export function endpointOf(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < 8 && current instanceof Error; depth += 1) {
    const endpoint = endpoints.get(current);
    if (endpoint !== undefined) return endpoint;
    current = current.cause;
  }
  return undefined;
}

/** Answers are stamped with whole seconds and take their time: less than this is no skew. Milliseconds. */
const SKEW_TOLERANCE_MS = 60_000;

export interface RequestParts {
  readonly network: Network;
  readonly timeouts: ApiTimeouts;
  readonly skew: ClockSkew;
  readonly log: Log;
}

/** A request handler as SDK clients take it. */
export class SdkRequestHandler {
  readonly metadata = { handlerProtocol: 'http/1.1' };
  readonly #network: Network;
  readonly #timeouts: ApiTimeouts;
  readonly #skew: ClockSkew;
  readonly #log: Log;
  readonly #handlers = new WeakMap<http.Agent, NodeHttpHandler>();
  #lastFailure: unknown;

  constructor({ network, timeouts, skew, log }: RequestParts) {
    this.#network = network;
    this.#timeouts = timeouts;
    this.#skew = skew;
    this.#log = log;
  }

  /** The error of the last request that got no answer; undefined once one got through. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  async handle(request: HandlerRequest, options?: HandlerOptions): HandlerAnswer {
    const port = request.port === undefined ? '' : `:${String(request.port)}`;
    const endpoint = `${request.protocol}//${request.hostname}${port}`;
    const abort = new AbortController();
    try {
      const agent = await this.#network.agentFor(endpoint, { signal: abort.signal });
      const answer = await this.#handlerFor(agent).handle(request, options);
      this.#lastFailure = undefined;
      this.#measureSkew(answer.response.headers['date']);
      return answer;
    } catch (error) {
      abort.abort();
      if (error instanceof Error) endpoints.set(error, endpoint);
      this.#lastFailure = error;
      throw error;
    }
  }

  #handlerFor(agent: http.Agent): NodeHttpHandler {
    const known = this.#handlers.get(agent);
    if (known !== undefined) return known;
    const { connectMs, requestMs } = this.#timeouts;
    const handler = new NodeHttpHandler({
      httpAgent: agent,
      httpsAgent: agent as http.Agent & { options: object },
      connectionTimeout: connectMs,
      requestTimeout: requestMs,
      socketTimeout: requestMs,
      throwOnRequestTimeout: true,
      logger: sdkLogger(this.#log),
    });
    this.#handlers.set(agent, handler);
    return handler;
  }

  #measureSkew(date: string | undefined): void {
    const serverTime = date === undefined ? NaN : Date.parse(date);
    if (Number.isNaN(serverTime)) return;
    const offsetMs = serverTime - Date.now();
    this.#skew.offsetMs = Math.abs(offsetMs) < SKEW_TOLERANCE_MS ? 0 : offsetMs;
  }

  /** Part of the interface; the agents belong to the network. */
  destroy(): void {}
}
