/**
 * The emulated account: instances, VPCs, access keys, roles, SSO, preferences, documents, KMS keys, and the faults in
 * force.
 * Plain state that the API answers from and the control interface changes; sessions live in gateway.ts.
 */
import { ProxyError } from '../errors.ts';
import type { Log } from '../log.ts';
import { CallLog } from './call-log.ts';
import { defaultFaults } from './faults.ts';
import type { Faults } from './faults.ts';
import { mergeFaults } from './fault-settings.ts';
import type { FaultChange } from './fault-settings.ts';
import { Identities } from './identities.ts';
import { NodeRoles } from './node-roles.ts';
import { changeInstance, createInstance } from './instance-settings.ts';
import type { InstanceDefaults, InstanceSpec } from './instance-settings.ts';
import type { EmulatedInstance } from './instance.ts';
import { PushedKeys } from './pushed-keys.ts';
import { builtInDocuments } from './session-document.ts';
import type { SessionDocument } from './session-document.ts';
import type { ServiceClock } from './service-clock.ts';
import { SsoDirectory } from './sso-directory.ts';

export interface Vpc {
  readonly vpcId: string;
  readonly region: string;
  readonly cidrBlock: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly isDefault: boolean;
  /** Services with an endpoint in it: `ssm`. Default: none. */
  readonly endpoints?: readonly string[];
}

/** Session Manager preferences of the account. */
export interface Preferences {
  /** Shell and command sessions are encrypted with this key. */
  kmsKeyId: string | undefined;
}

const MAX_INSTANCES = 200_000;

export class World {
  readonly region: string;
  readonly clock: ServiceClock;
  readonly log: Log;
  readonly identities = new Identities();
  readonly nodeRoles = new NodeRoles();
  readonly sso = new SsoDirectory(() => this.clock.wallNow());
  readonly calls = new CallLog();
  readonly pushedKeys: PushedKeys;
  readonly instances = new Map<string, EmulatedInstance>();
  readonly vpcs = new Map<string, Vpc>();
  readonly documents = new Map<string, SessionDocument>();
  readonly preferences: Preferences = { kmsKeyId: undefined };
  #faults: Faults = defaultFaults();
  /** Service time at which the API failure list was set; their `forMs` counts from here. */
  #failuresSetAt: number;
  readonly #onInstanceChange: ((instance: EmulatedInstance) => void)[] = [];
  readonly #onFaultChange: (() => void)[] = [];

  constructor(options: { readonly region: string; readonly clock: ServiceClock; readonly log: Log }) {
    this.region = options.region;
    this.clock = options.clock;
    this.pushedKeys = new PushedKeys(options.clock);
    this.log = options.log;
    this.#failuresSetAt = options.clock.plain.now();
    for (const document of builtInDocuments()) this.documents.set(document.name, document);
    this.addVpc({
      vpcId: 'vpc-0d3b07a1c2e4f5a60',
      region: options.region,
      cidrBlock: '10.0.0.0/16',
      tags: { Name: 'demo' },
      isDefault: false,
    });
  }

  /** The settings in force; a new object after every change, never changed in place. */
  get faults(): Readonly<Faults> {
    return this.#faults;
  }

  get failuresSetAt(): number {
    return this.#failuresSetAt;
  }

  /** Merges a change into the faults in force. Throws USAGE. */
  changeFaults(change: FaultChange): Readonly<Faults> {
    return this.#putFaults(mergeFaults(this.#faults, change));
  }

  /** Replaces all faults: a healthy service plus `change`. Throws USAGE. */
  resetFaults(change: FaultChange = {}): Readonly<Faults> {
    return this.#putFaults(mergeFaults(defaultFaults(), change));
  }

  onFaultChange(listener: () => void): void {
    this.#onFaultChange.push(listener);
  }

  /** Throws USAGE, also when the instance ID is taken. */
  addInstance(spec: InstanceSpec): EmulatedInstance {
    const instance = createInstance(spec, this.#instanceDefaults());
    if (this.instances.has(instance.instanceId)) {
      throw new ProxyError('USAGE', `the emulator already has an instance ${instance.instanceId}`);
    }
    if (this.instances.size >= MAX_INSTANCES) {
      throw new ProxyError('USAGE', `the emulator holds at most ${MAX_INSTANCES} instances`);
    }
    this.instances.set(instance.instanceId, instance);
    this.#addMissingVpcs(instance);
    return instance;
  }

  /** Throws USAGE. Sessions on an instance that stops or is terminated lose their agent. */
  changeInstance(instanceId: string, change: InstanceSpec): EmulatedInstance {
    const instance = this.instance(instanceId);
    changeInstance(instance, change, this.#instanceDefaults());
    this.#addMissingVpcs(instance);
    for (const listener of this.#onInstanceChange) listener(instance);
    return instance;
  }

  /** As if long terminated: the API does not know it any more. Throws USAGE. */
  removeInstance(instanceId: string): void {
    const instance = this.changeInstance(instanceId, { state: 'terminated' });
    this.instances.delete(instance.instanceId);
  }

  /** Throws USAGE when there is none. */
  instance(instanceId: string): EmulatedInstance {
    const instance = this.instances.get(instanceId);
    if (instance === undefined) throw new ProxyError('USAGE', `the emulator has no instance ${instanceId}`);
    return instance;
  }

  onInstanceChange(listener: (instance: EmulatedInstance) => void): void {
    this.#onInstanceChange.push(listener);
  }

  addVpc(vpc: Vpc): void {
    this.vpcs.set(vpc.vpcId, vpc);
  }

  #putFaults(faults: Faults): Readonly<Faults> {
    if (faults.api.failures !== this.#faults.api.failures) this.#failuresSetAt = this.clock.plain.now();
    this.#faults = faults;
    for (const listener of this.#onFaultChange) listener();
    return faults;
  }

  #instanceDefaults(): InstanceDefaults {
    return {
      region: this.region,
      vpcId: 'vpc-0d3b07a1c2e4f5a60',
      subnetId: 'subnet-0a5c3e1d7b9f2468a',
      now: this.clock.wallNow(),
    };
  }

  #addMissingVpcs(instance: EmulatedInstance): void {
    for (const { vpcId } of instance.interfaces) {
      if (this.vpcs.has(vpcId)) continue;
      this.addVpc({ vpcId, region: instance.region, cidrBlock: '10.0.0.0/16', tags: {}, isDefault: false });
    }
  }
}
