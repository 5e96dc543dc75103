/** IAM Identity Center's requests: known by method and path, unsigned, each with its own token or none. */
import * as crypto from 'node:crypto';
import type { World } from '../world.ts';
import type { ApiFailures } from './api-failures.ts';
import type { ApiOutcome } from './api-service.ts';
import { Refusal } from './refusal.ts';
import { splitUrl } from './sigv4.ts';
import type { SignedRequest } from './sigv4.ts';
import { SSO_OIDC_ROUTES } from './sso-oidc.ts';
import { SSO_PORTAL_ROUTES } from './sso-portal.ts';
import { page, readCall } from './sso-wire.ts';
import type { SsoAnswer, SsoRoute } from './sso-wire.ts';

const ROUTES: Readonly<Record<string, SsoRoute>> = { ...SSO_OIDC_ROUTES, ...SSO_PORTAL_ROUTES };
/** OAuth's words for the errors that it has words for. */
const OAUTH_WORDS: Readonly<Record<string, string>> = {
  AccessDeniedException: 'access_denied',
  AuthorizationPendingException: 'authorization_pending',
  ExpiredTokenException: 'expired_token',
  InvalidClientException: 'invalid_client',
  InvalidGrantException: 'invalid_grant',
  SlowDownException: 'slow_down',
  UnauthorizedClientException: 'unauthorized_client',
};

export class SsoService {
  readonly #world: World;
  readonly #failures: ApiFailures;
  readonly #origin: string;

  constructor(world: World, failures: ApiFailures, origin: string) {
    this.#world = world;
    this.#failures = failures;
    this.#origin = origin;
  }

  /** Undefined: the request is none of these services. */
  answer(request: SignedRequest): ApiOutcome | undefined {
    const { path, query } = splitUrl(request.rawUrl);
    const route = ROUTES[`${request.method} ${path}`];
    if (route === undefined) return undefined;
    const { action } = route;
    const requestId = crypto.randomUUID();
    try {
      const cut = action === undefined ? undefined : this.#injected(action, request.body.toString('utf8'));
      if (cut !== undefined) return cut;
      const answer = route.perform(readCall(this.#world, this.#origin, request, query));
      if (action !== undefined) this.#world.calls.record(action, undefined);
      return toOutcome(answer, requestId);
    } catch (error) {
      const refusal =
        error instanceof Refusal ? error : new Refusal('InternalServerException', String(error), 500);
      if (action === undefined) return toOutcome(page(refusal.status, refusal.message), requestId);
      this.#world.calls.record(action, refusal.code);
      return refused(refusal, action.startsWith('sso-oidc:'), requestId);
    }
  }

  #injected(action: string, body: string): 'hang' | 'reset' | undefined {
    const failure = this.#failures.next(action, (target) => body.includes(target));
    if (failure === undefined) {
      this.#failures.throttle(action);
      return undefined;
    }
    if (failure.kind === 'error') throw new Refusal(failure.code, failure.message, failure.status);
    this.#world.calls.record(action, failure.kind);
    return failure.kind;
  }
}

function toOutcome({ status, contentType, body, location }: SsoAnswer, requestId: string): ApiOutcome {
  return {
    status,
    headers: {
      'content-type': contentType,
      'x-amzn-RequestId': requestId,
      ...(location !== undefined && { location }),
    },
    body,
  };
}

function refused(refusal: Refusal, isOidc: boolean, requestId: string): ApiOutcome {
  const { code, message, status } = refusal;
  const content = isOidc
    ? { error: OAUTH_WORDS[code] ?? 'invalid_request', error_description: message }
    : { message };
  return {
    status,
    headers: {
      'content-type': 'application/json',
      'x-amzn-RequestId': requestId,
      'x-amzn-ErrorType': code,
    },
    body: JSON.stringify(content),
  };
}
