/** The REST-JSON form of the two IAM Identity Center services: which request is theirs, input and answers. */
import { isObject } from '../checked-json.ts';
import type { SsoDirectory } from '../sso-directory.ts';
import type { World } from '../world.ts';
import { Refusal } from './refusal.ts';
import type { SignedRequest } from './sigv4.ts';

export interface SsoCall {
  readonly world: World;
  readonly directory: SsoDirectory;
  readonly query: URLSearchParams;
  /** Body of a POST; empty for others. */
  readonly input: Readonly<Record<string, unknown>>;
  /** Access token of the portal's calls; '' without one. */
  readonly token: string;
  /** Scheme, host and port of the endpoint, for links. */
  readonly origin: string;
}

export interface SsoAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly location?: string;
}

export interface SsoRoute {
  /** `sso-oidc:CreateToken`; pages of the browser have none, since they are no API calls. */
  readonly action: string | undefined;
  readonly perform: (call: SsoCall) => SsoAnswer;
}

export function jsonContent(content: unknown): SsoAnswer {
  return { status: 200, contentType: 'application/json', body: JSON.stringify(content) };
}

export function page(status: number, text: string): SsoAnswer {
  return { status, contentType: 'text/html; charset=utf-8', body: `<!doctype html><p>${text}</p>\n` };
}

export function readCall(
  world: World,
  origin: string,
  request: SignedRequest,
  query: URLSearchParams,
): SsoCall {
  return {
    world,
    directory: world.sso,
    query,
    input: readInput(request),
    token: request.headers['x-amz-sso_bearer_token'] ?? '',
    origin,
  };
}

function readInput(request: SignedRequest): Readonly<Record<string, unknown>> {
  const text = request.body.toString('utf8');
  if (request.method !== 'POST' || text === '') return {};
  try {
    const input: unknown = JSON.parse(text);
    if (isObject(input)) return input;
  } catch {
    // Answered below like any other body that is not an object.
  }
  throw new Refusal('InvalidRequestException', 'The request body is not a JSON object.');
}

/** A text that must be there. */
export function requiredText(input: Readonly<Record<string, unknown>>, name: string): string {
  const value = input[name];
  if (typeof value !== 'string' || value === '') {
    throw new Refusal('InvalidRequestException', `Missing required parameter ${name}.`);
  }
  return value;
}

/** Texts of a list that may be missing. */
export function texts(input: Readonly<Record<string, unknown>>, name: string): string[] {
  const value = input[name];
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}
