/** DescribeInstanceInformation, GetConnectionStatus, DescribeSessions: what SSM knows of machines and sessions. */
import type { EmulatedSession } from '../emulated-session.ts';
import { instanceName, isManaged, primaryIp } from '../instance.ts';
import type { EmulatedInstance } from '../instance.ts';
import { pageOf } from './paging.ts';
import { constraintViolation, Refusal } from './refusal.ts';
import { objectList, optionalCount, optionalText, requiredText, textList } from './ssm-input.ts';
import type { SsmCall } from './ssm-session-calls.ts';

const INFORMATION_PAGE = { minimum: 5, maximum: 50, standard: 10 };
const SESSIONS_PAGE = { minimum: 1, maximum: 200, standard: 200 };

export function describeInstanceInformation(call: SsmCall): Record<string, unknown> {
  const { world, region, input } = call;
  const filters = [
    ...objectList(input, 'Filters').map((each) => ({
      key: text(each['Key']),
      values: textList(each['Values'], 'Values'),
    })),
    ...objectList(input, 'InstanceInformationFilterList').map((each) => ({
      key: text(each['key']),
      values: textList(each['valueSet'], 'valueSet'),
    })),
  ];
  // Stopped machines stay listed with a lost connection; terminated ones go.
  let found = [...world.instances.values()].filter(
    (each) => each.region === region && each.state !== 'terminated' && each.state !== 'pending',
  );
  for (const { key, values } of filters) {
    const read = informationFilter(key);
    found = found.filter((each) => values.includes(read(each) ?? ''));
  }
  const size = optionalCount(input, 'MaxResults', INFORMATION_PAGE) ?? INFORMATION_PAGE.standard;
  const page = pageOf(found, forced(call, size), optionalText(input, 'NextToken', 4096), invalidToken);
  const now = world.clock.wallNow();
  return {
    InstanceInformationList: page.items.map((each) => information(each, now)),
    ...(page.nextToken === undefined ? {} : { NextToken: page.nextToken }),
  };
}

export function getConnectionStatus(call: SsmCall): Record<string, unknown> {
  const target = requiredText(call.input, 'Target', 400);
  const instance = call.world.instances.get(target);
  const isConnected = instance !== undefined && instance.region === call.region && isAgentConnected(instance);
  return { Target: target, Status: isConnected ? 'connected' : 'notconnected' };
}

export function describeSessions(call: SsmCall): Record<string, unknown> {
  const { gateway, region, input } = call;
  const state = requiredText(input, 'State', 20);
  if (state !== 'Active' && state !== 'History') {
    throw constraintViolation(state, 'state', 'Member must satisfy enum value set: [Active, History]');
  }
  let found = gateway
    .list()
    .filter((each) => each.facts.region === region && each.isOver === (state === 'History'));
  for (const filter of objectList(input, 'Filters')) {
    const matches = sessionFilter(text(filter['key']), text(filter['value']));
    found = found.filter(matches);
  }
  const size = optionalCount(input, 'MaxResults', SESSIONS_PAGE) ?? SESSIONS_PAGE.standard;
  const page = pageOf(found, forced(call, size), optionalText(input, 'NextToken', 4096), invalidToken);
  return {
    Sessions: page.items.map(sessionAnswer),
    ...(page.nextToken === undefined ? {} : { NextToken: page.nextToken }),
  };
}

export function isAgentConnected(instance: EmulatedInstance): boolean {
  return instance.state === 'running' && instance.agentOnline;
}

function information(instance: EmulatedInstance, now: number): Record<string, unknown> {
  const name = instanceName(instance);
  const ip = primaryIp(instance);
  return {
    InstanceId: instance.instanceId,
    PingStatus: pingStatus(instance),
    LastPingDateTime: seconds(isAgentConnected(instance) ? now : instance.launchTime),
    AgentVersion: instance.agentVersion,
    IsLatestVersion: false,
    PlatformType: 'Linux',
    PlatformName: instance.platformName,
    PlatformVersion: '24.04',
    ResourceType: isManaged(instance) ? 'ManagedInstance' : 'EC2Instance',
    ...(ip === undefined ? {} : { IPAddress: ip }),
    ComputerName: name === '' ? instance.instanceId : name,
    ...(isManaged(instance) ? { Name: name, RegistrationDate: seconds(instance.launchTime) } : {}),
    AssociationStatus: 'Success',
    SourceId: instance.instanceId,
    SourceType: isManaged(instance) ? 'AWS::SSM::ManagedInstance' : 'AWS::EC2::Instance',
  };
}

function pingStatus(instance: EmulatedInstance): string {
  return isAgentConnected(instance) ? 'Online' : 'ConnectionLost';
}

function informationFilter(key: string): (instance: EmulatedInstance) => string | undefined {
  if (key.startsWith('tag:')) return (instance) => instance.tags[key.slice('tag:'.length)];
  switch (key) {
    case 'InstanceIds':
      return (instance) => instance.instanceId;
    case 'AgentVersion':
      return (instance) => instance.agentVersion;
    case 'PingStatus':
      return pingStatus;
    case 'PlatformTypes':
      return () => 'Linux';
    case 'ResourceType':
      return (instance) => (isManaged(instance) ? 'ManagedInstance' : 'EC2Instance');
    default:
      throw new Refusal('InvalidFilterKey', `${key} is not a valid filter key.`);
  }
}

function sessionFilter(key: string, value: string): (session: EmulatedSession) => boolean {
  switch (key) {
    case 'InvokedAfter':
      return (session) => session.startWall >= Date.parse(value);
    case 'InvokedBefore':
      return (session) => session.startWall < Date.parse(value);
    case 'Target':
      return (session) => session.facts.target === value;
    case 'Owner':
      return (session) => session.facts.owner === value;
    case 'Status':
      return (session) => session.status === value;
    case 'SessionId':
      return (session) => session.facts.sessionId === value;
    default:
      throw new Refusal('InvalidFilterKey', `${key} is not a valid filter key.`);
  }
}

function sessionAnswer(session: EmulatedSession): Record<string, unknown> {
  const { facts, endWall } = session;
  return {
    SessionId: facts.sessionId,
    Target: facts.target,
    Status: session.status,
    StartDate: seconds(session.startWall),
    ...(endWall === undefined ? {} : { EndDate: seconds(endWall) }),
    DocumentName: facts.documentName,
    Owner: facts.owner,
    ...(facts.reason === undefined ? {} : { Reason: facts.reason }),
    OutputUrl: {},
  };
}

function forced(call: SsmCall, size: number): number {
  const { pageItems } = call.world.faults.api;
  return pageItems > 0 ? Math.min(size, pageItems) : size;
}

/** JSON timestamps are seconds with fractions. */
function seconds(wallMs: number): number {
  return wallMs / 1000;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function invalidToken(): Refusal {
  return new Refusal('InvalidNextToken', 'The specified token is not valid.');
}
