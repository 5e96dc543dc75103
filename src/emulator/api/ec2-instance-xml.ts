/** One instance in DescribeInstances' XML: the elements that clients read, with EC2's names. */
import { ACCOUNT_ID } from '../identities.ts';
import { interfacesOf, privateDnsName, publicDnsName } from '../instance.ts';
import type { EmulatedInstance, InstanceState, NetworkInterface } from '../instance.ts';
import { instanceProfileArn } from '../node-roles.ts';
import { STATE_CODES } from './ec2-filters.ts';
import { items } from './query-xml.ts';
import type { XmlElement, XmlValue } from './query-xml.ts';

export function stateXml(state: InstanceState): XmlElement {
  return { code: STATE_CODES[state], name: state };
}

export function instanceXml(instance: EmulatedInstance): XmlElement {
  const interfaces = interfacesOf(instance);
  const [primary] = interfaces;
  const primaryIp = primary?.privateIps[0];
  const launchTime = new Date(instance.launchTime).toISOString();
  return {
    instanceId: instance.instanceId,
    imageId: instance.imageId,
    instanceState: stateXml(instance.state),
    privateDnsName: primaryIp === undefined ? '' : privateDnsName(instance, primaryIp),
    dnsName: primary?.publicIp === undefined ? '' : publicDnsName(instance, primary.publicIp),
    reason: transitionReason(instance),
    amiLaunchIndex: 0,
    productCodes: '',
    instanceType: instance.instanceType,
    launchTime,
    placement: { availabilityZone: instance.availabilityZone, groupName: '', tenancy: 'default' },
    monitoring: { state: 'disabled' },
    subnetId: primary?.subnetId,
    vpcId: primary?.vpcId,
    privateIpAddress: primaryIp,
    ipAddress: primary?.publicIp,
    ipv6Address: primary?.ipv6Addresses[0],
    sourceDestCheck: true,
    groupSet: '',
    architecture: 'x86_64',
    rootDeviceType: 'ebs',
    rootDeviceName: '/dev/sda1',
    blockDeviceMapping: '',
    virtualizationType: 'hvm',
    clientToken: '',
    tagSet: tagSet(instance.tags),
    hypervisor: 'xen',
    networkInterfaceSet: items(
      interfaces.map((each, index) => interfaceXml(instance, each, index, launchTime)),
    ),
    ebsOptimized: true,
    enaSupport: true,
    privateDnsNameOptions: {
      hostnameType: instance.hostnameType,
      enableResourceNameDnsARecord: instance.hostnameType === 'resource-name',
      enableResourceNameDnsAAAARecord: false,
    },
    platformDetails: 'Linux/UNIX',
    iamInstanceProfile:
      instance.instanceProfile === undefined
        ? undefined
        : { arn: instanceProfileArn(instance.instanceProfile), id: 'AIPAEXAMPLEEXAMPLE0' },
  };
}

export function tagSet(tags: Readonly<Record<string, string>>): XmlValue {
  return items(Object.entries(tags).map(([key, value]) => ({ key, value })));
}

function interfaceXml(
  instance: EmulatedInstance,
  nic: NetworkInterface,
  deviceIndex: number,
  attachTime: string,
): XmlElement {
  const association =
    nic.publicIp === undefined
      ? undefined
      : { publicIp: nic.publicIp, publicDnsName: publicDnsName(instance, nic.publicIp), ipOwnerId: 'amazon' };
  const [first] = nic.privateIps;
  return {
    networkInterfaceId: nic.networkInterfaceId,
    subnetId: nic.subnetId,
    vpcId: nic.vpcId,
    description: '',
    ownerId: ACCOUNT_ID,
    status: 'in-use',
    macAddress: nic.macAddress,
    privateIpAddress: first,
    privateDnsName: first === undefined ? '' : privateDnsName(instance, first),
    sourceDestCheck: true,
    groupSet: '',
    attachment: {
      attachmentId: `eni-attach-${nic.networkInterfaceId.slice(4)}`,
      deviceIndex,
      status: 'attached',
      attachTime,
      deleteOnTermination: true,
      networkCardIndex: 0,
    },
    association,
    privateIpAddressesSet: items(
      nic.privateIps.map((ip, index) => ({
        privateIpAddress: ip,
        privateDnsName: privateDnsName(instance, ip),
        primary: index === 0,
        ...(index === 0 && association !== undefined ? { association } : {}),
      })),
    ),
    ipv6AddressesSet: items(nic.ipv6Addresses.map((ipv6Address) => ({ ipv6Address, isPrimaryIpv6: false }))),
    interfaceType: 'interface',
  };
}

/** As EC2 words it once somebody has stopped or terminated the instance. */
function transitionReason({ state, stateChangedAt }: EmulatedInstance): string {
  if (state === 'running' || state === 'pending') return '';
  const time = new Date(stateChangedAt).toISOString().slice(0, 19).replace('T', ' ');
  return `User initiated (${time} GMT)`;
}
