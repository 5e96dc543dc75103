/**
 * All AWS APIs behind one endpoint, as clients with AWS_ENDPOINT_URL expect: the service is known from the
 * signature's scope, or from the request's form when it is not signed. Order of refusal: signature, operation,
 * injected failure, throttle, permission, input.
 */
import * as crypto from 'node:crypto';
import type { Gateway } from '../gateway.ts';
import type { Identity } from '../identities.ts';
import { isDenied } from '../identities.ts';
import { isObject } from '../checked-json.ts';
import type { ApiFailure } from '../faults.ts';
import { ProxyError } from '../../errors.ts';
import type { World } from '../world.ts';
import { ApiFailures } from './api-failures.ts';
import { permissionRefusal, sessionArn, signatureRefusal, targetArn } from './auth-errors.ts';
import type { ServiceName } from './auth-errors.ts';
import { EC2_OPERATIONS } from './ec2.ts';
import { IAM_OPERATIONS } from './iam.ts';
import { sendSshPublicKey } from './instance-connect.ts';
import { ec2Answer, ec2Error, queryAnswer, queryError } from './query-xml.ts';
import { Refusal } from './refusal.ts';
import { checkSignature, splitUrl } from './sigv4.ts';
import type { Scope, SignedRequest } from './sigv4.ts';
import { describeInstanceInformation, describeSessions, getConnectionStatus } from './ssm-describe-calls.ts';
import { resumeSession, startSession, terminateSession } from './ssm-session-calls.ts';
import type { SsmCall } from './ssm-session-calls.ts';
import { SsoService } from './sso-service.ts';
import { STS_OPERATIONS } from './sts.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What becomes of a request: an answer, none at all, or a cut connection. */
export type ApiOutcome = ApiAnswer | 'hang' | 'reset';

interface Operation {
  readonly service: ServiceName;
  /** 'StartSession'; '' when the request names none. */
  readonly name: string;
  /** Query protocol: form parameters. */
  readonly parameters: URLSearchParams;
}

type Answered = Record<string, unknown> | Promise<Record<string, unknown>>;

const SSM_OPERATIONS: Readonly<Record<string, (call: SsmCall) => Answered>> = {
  StartSession: startSession,
  ResumeSession: resumeSession,
  TerminateSession: terminateSession,
  DescribeInstanceInformation: describeInstanceInformation,
  GetConnectionStatus: getConnectionStatus,
  DescribeSessions: describeSessions,
};
const SERVICES: readonly ServiceName[] = ['ec2', 'ssm', 'sts', 'iam', 'kms'];
/** Versions of the Query APIs that are not EC2's, for requests without a signature. */
const VERSIONS: Readonly<Record<string, ServiceName>> = { '2011-06-15': 'sts', '2010-05-08': 'iam' };
/** Of the JSON services, what stands before the operation; else it is SSM's. */
const JSON_SERVICES: Readonly<Record<string, ServiceName>> = {
  TrentService: 'kms',
  AWSEC2InstanceConnectService: 'ec2-instance-connect',
};
/** Needs no permission, as in AWS. */
const FREE_ACTIONS = ['sts:GetCallerIdentity'];

export class ApiService {
  readonly #world: World;
  readonly #gateway: Gateway;
  readonly #failures: ApiFailures;
  readonly #sso: SsoService;

  /** `origin`: of the endpoint, for links to the pages of SSO. */
  constructor(world: World, gateway: Gateway, origin: string) {
    this.#world = world;
    this.#gateway = gateway;
    this.#failures = new ApiFailures(world);
    this.#sso = new SsoService(world, this.#failures, origin);
  }

  async answer(request: SignedRequest): Promise<ApiOutcome> {
    const ssoOutcome = this.#sso.answer(request);
    if (ssoOutcome !== undefined) return ssoOutcome;
    const requestId = crypto.randomUUID();
    const operation = readOperation(request);
    const action = `${operation.service}:${operation.name === '' ? 'unknown' : operation.name}`;
    try {
      const outcome = await this.#perform(request, operation, action, requestId);
      if (typeof outcome === 'string') this.#world.calls.record(action, outcome);
      else this.#world.calls.record(action, undefined);
      return outcome;
    } catch (error) {
      const refusal = asRefusal(error);
      this.#world.calls.record(action, refusal.code);
      this.#world.log.info('api.refused', { action, code: refusal.code });
      return errorAnswer(operation.service, refusal, requestId);
    }
  }

  async #perform(
    request: SignedRequest,
    operation: Operation,
    action: string,
    requestId: string,
  ): Promise<ApiOutcome> {
    const { service, name } = operation;
    const check = await checkSignature(request, this.#world.identities, this.#world.clock.wallNow());
    if (check.problem !== undefined) throw signatureRefusal(service, check.problem);
    if (check.scope.service !== service) {
      const detail = `Credential should be scoped to correct service: '${service}'.`;
      throw signatureRefusal(service, { kind: 'wrong-scope', detail });
    }
    requireKnown(operation);
    const body = request.body.toString('utf8');
    const failure = this.#failures.next(action, (target) => body.includes(target));
    if (failure !== undefined) return injected(failure, body);
    this.#failures.throttle(action);
    if (service === 'ec2' || service === 'sts' || service === 'iam') {
      const content = this.#answerQuery(operation, action, check.identity, check.scope);
      return xmlAnswer(
        service === 'ec2'
          ? ec2Answer(name, requestId, content)
          : queryAnswer(service, name, requestId, content),
        requestId,
      );
    }
    const input = parseInput(body);
    if (isDenied(check.identity, action)) {
      throw permissionRefusal(check.identity, action, resourceOf(input, check.scope.region));
    }
    const content = await this.#answerJson(operation, input, check, requestId);
    return jsonAnswer(200, content, requestId);
  }

  #answerJson(
    { service, name }: Operation,
    input: Readonly<Record<string, unknown>>,
    { identity: caller, scope: { region } }: { readonly identity: Identity; readonly scope: Scope },
    requestId: string,
  ): Answered {
    if (service === 'kms') return this.#gateway.dataKeys.generate(input, region);
    if (service === 'ec2-instance-connect') return sendSshPublicKey(this.#world, region, input, requestId);
    return this.#answerSsm(name, { input, caller, region });
  }

  #answerQuery(operation: Operation, action: string, caller: Identity, scope: Scope) {
    const { parameters, name, service } = operation;
    if (!FREE_ACTIONS.includes(action) && isDenied(caller, action)) {
      throw permissionRefusal(caller, action, parameters.get('RoleArn') ?? '*');
    }
    if (service === 'sts') return (STS_OPERATIONS[name] ?? unknownOperation)(this.#world, caller, parameters);
    if (service === 'iam') return (IAM_OPERATIONS[name] ?? unknownOperation)(this.#world, parameters);
    if (parameters.get('DryRun') === 'true') {
      throw new Refusal('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', 412);
    }
    return (EC2_OPERATIONS[name] ?? unknownOperation)(this.#world, scope.region, parameters);
  }

  #answerSsm(name: string, call: Pick<SsmCall, 'input' | 'caller' | 'region'>): Answered {
    return (SSM_OPERATIONS[name] ?? unknownOperation)({
      world: this.#world,
      gateway: this.#gateway,
      ...call,
    });
  }
}

function readOperation(request: SignedRequest): Operation {
  const target = request.headers['x-amz-target'];
  if (target !== undefined) {
    const dot = target.lastIndexOf('.');
    return {
      service: JSON_SERVICES[target.slice(0, dot)] ?? 'ssm',
      name: target.slice(dot + 1),
      parameters: new URLSearchParams(),
    };
  }
  const { query } = splitUrl(request.rawUrl);
  const parameters = new URLSearchParams(request.method === 'POST' ? request.body.toString('utf8') : query);
  const name = parameters.get('Action') ?? '';
  const scope = /Credential=[^/]+\/[^/]+\/[^/]+\/([^/]+)\//.exec(request.headers['authorization'] ?? '')?.[1];
  const service =
    SERVICES.find((each) => each === scope) ?? VERSIONS[parameters.get('Version') ?? ''] ?? 'ec2';
  return { service, name, parameters };
}

function requireKnown({ service, name }: Operation): void {
  switch (service) {
    case 'ec2':
      if (name === '') throw new Refusal('MissingAction', 'The request must contain the parameter Action');
      if (Object.hasOwn(EC2_OPERATIONS, name)) return;
      throw new Refusal('InvalidAction', `The action ${name} is not valid for this web service.`);
    case 'sts':
      if (Object.hasOwn(STS_OPERATIONS, name)) return;
      throw new Refusal('InvalidAction', `Could not find operation ${name} for version 2011-06-15`);
    case 'iam':
      if (Object.hasOwn(IAM_OPERATIONS, name)) return;
      throw new Refusal('InvalidAction', `Could not find operation ${name} for version 2010-05-08`);
    case 'ssm':
      if (!Object.hasOwn(SSM_OPERATIONS, name)) unknownOperation();
      return;
    case 'kms':
      if (name !== 'GenerateDataKey') unknownOperation();
      return;
    case 'ec2-instance-connect':
      if (name !== 'SendSSHPublicKey') unknownOperation();
      return;
    default:
      service satisfies never;
  }
}

function unknownOperation(): never {
  throw new Refusal('UnknownOperationException', '');
}

function parseInput(body: string): Readonly<Record<string, unknown>> {
  try {
    const input: unknown = JSON.parse(body === '' ? '{}' : body);
    if (isObject(input)) return input;
  } catch {
    // Answered below like any other body that is not an object.
  }
  throw new Refusal('SerializationException', 'Start of structure or map found where not expected.');
}

/** What a permission is about, for the error text. */
function resourceOf(input: Readonly<Record<string, unknown>>, region: string): string {
  if (typeof input['Target'] === 'string') return targetArn(region, input['Target']);
  if (typeof input['InstanceId'] === 'string') return targetArn(region, input['InstanceId']);
  if (typeof input['SessionId'] === 'string') return sessionArn(region, input['SessionId']);
  return '*';
}

function injected(failure: ApiFailure, body: string): 'hang' | 'reset' {
  if (failure.kind !== 'error') return failure.kind;
  const target = /"Target"\s*:\s*"([^"]*)"/.exec(body)?.[1] ?? 'The target';
  throw new Refusal(failure.code, failure.message.replace('{target}', target), failure.status);
}

/** Anything thrown while answering, as an answer. */
function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  // Input that a checked reader refused.
  if (error instanceof ProxyError && error.code === 'USAGE')
    return new Refusal('ValidationException', error.message);
  const text = error instanceof Error ? error.message : String(error);
  return new Refusal('InternalFailure', `The emulator failed: ${text}`, 500);
}

function errorAnswer(service: ServiceName, refusal: Refusal, requestId: string): ApiAnswer {
  switch (service) {
    case 'ec2':
      return { ...xmlAnswer(ec2Error(refusal, requestId), requestId), status: refusal.status };
    case 'sts':
    case 'iam':
      return { ...xmlAnswer(queryError(service, refusal, requestId), requestId), status: refusal.status };
    case 'ssm':
    case 'kms':
    case 'ec2-instance-connect': {
      const answer = jsonAnswer(
        refusal.status,
        { __type: refusal.code, message: refusal.message },
        requestId,
      );
      return { ...answer, headers: { ...answer.headers, 'x-amzn-ErrorType': refusal.code } };
    }
    default:
      return service satisfies never;
  }
}

function xmlAnswer(body: string, requestId: string): ApiAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'text/xml;charset=UTF-8', 'x-amzn-RequestId': requestId },
    body,
  };
}

function jsonAnswer(status: number, content: unknown, requestId: string): ApiAnswer {
  return {
    status,
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-RequestId': requestId },
    body: JSON.stringify(content),
  };
}
