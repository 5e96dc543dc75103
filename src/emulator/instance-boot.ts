/** How a stopped instance comes up after StartInstances: pending, running, then its agent; all in service time. */
import type { EmulatedInstance } from './instance.ts';
import type { World } from './world.ts';

/** What EC2 takes, about. Milliseconds. */
const PENDING_MS = 10_000;
/** From there until SSM is connected to the agent. Milliseconds. */
const AGENT_MS = 15_000;

/** The caller has looked at its state. What somebody changes meanwhile stays changed. */
export function bootInstance(world: World, { instanceId }: EmulatedInstance): void {
  world.changeInstance(instanceId, { state: 'pending', agentOnline: false });
  const stateNow = (): string | undefined => world.instances.get(instanceId)?.state;
  world.clock.setLifetime(PENDING_MS, () => {
    if (stateNow() !== 'pending') return;
    world.changeInstance(instanceId, { state: 'running' });
    world.clock.setLifetime(AGENT_MS, () => {
      if (stateNow() === 'running') world.changeInstance(instanceId, { agentOnline: true });
    });
  });
}
