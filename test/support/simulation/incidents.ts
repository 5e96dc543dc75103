/**
 * Troubles that are no message rule: of the API, of the agent, of the service as a whole. Each begins once, when a
 * drawn part of the traffic has passed. `ends`: no tool could go on, and the error says so in time.
 */
import type { ErrorCode } from '../../../src/errors.ts';
import type { SessionTimes } from '../../../src/session/session.ts';
import type { Random } from '../random.ts';
import { randomInteger } from '../random.ts';
import type { VirtualClock } from '../virtual-clock.ts';
import type { SimulatedService } from './simulated-service.ts';

export interface Scene {
  readonly service: SimulatedService;
  readonly clock: VirtualClock;
  readonly random: Random;
  /** A byte of the user's, as of ssh's own sign of life. */
  readonly say: () => void;
}

export interface Incident {
  readonly name: string;
  readonly begin: (scene: Scene) => void;
  readonly ends?: ErrorCode;
  readonly times?: SessionTimes;
  /** Of the dialogue between two rounds, in ms: for what takes its time. */
  readonly pauseMs?: number;
}

function cut({ service }: Scene): void {
  service.session.cutClient();
}

/** ResumeSession fails a few times in this way, then works. */
function resumeFails(scene: Scene, code: string, least: number, most: number): void {
  const times = randomInteger(scene.random, least, most);
  const failures = [{ operation: 'ssm:ResumeSession', code, times }];
  scene.service.world.changeFaults({ api: { failures } });
  cut(scene);
}

/** The connection to the API is cut, or there is no answer. */
function resumeUnanswered(scene: Scene, kind: 'reset' | 'hang', most: number): void {
  const times = randomInteger(scene.random, 1, most);
  scene.service.world.changeFaults({ api: { failures: [{ operation: 'ssm:ResumeSession', kind, times }] } });
  cut(scene);
}

function later(scene: Scene, lowMs: number, highMs: number, action: () => void): void {
  scene.clock.setTimer(randomInteger(scene.random, lowMs, highMs), action);
}

const OPEN_KINDS = ['hang', 'status', 'reset', 'bad-token', 'ignore'] as const;

export const INCIDENTS: readonly Incident[] = [
  {
    name: 'resume refused for a while (403)',
    begin: (scene) => resumeFails(scene, 'AccessDeniedException', 1, 4),
  },
  {
    name: 'resume with expired credentials',
    begin: (scene) => resumeFails(scene, 'ExpiredTokenException', 1, 8),
  },
  { name: 'resume throttled', begin: (scene) => resumeFails(scene, 'ThrottlingException', 1, 8) },
  { name: 'resume in trouble (500)', begin: (scene) => resumeFails(scene, 'InternalServerError', 1, 8) },
  { name: 'resume cut', begin: (scene) => resumeUnanswered(scene, 'reset', 6) },
  { name: 'resume unanswered', begin: (scene) => resumeUnanswered(scene, 'hang', 2) },
  {
    name: 'new links that do not come up',
    begin(scene) {
      const { random, service } = scene;
      const outcomes = Array.from({ length: randomInteger(random, 1, 3) }, () => ({
        kind: OPEN_KINDS[randomInteger(random, 0, OPEN_KINDS.length - 1)] ?? 'reset',
        status: random() < 0.5 ? 403 : 503,
      }));
      service.world.changeFaults({ open: { outcomes } });
      cut(scene);
    },
  },
  {
    name: 'everything closed at once, and the API away',
    begin(scene) {
      const forMs = randomInteger(scene.random, 1000, 20_000);
      const failures = [{ operation: 'ssm:ResumeSession', code: 'ServiceUnavailable', forMs }];
      scene.service.world.changeFaults({ api: { failures } });
      scene.service.session.closeClient(1001, 'Going away');
    },
  },
  {
    name: 'agent away for a moment',
    begin: (scene) => scene.service.session.dropAgent(randomInteger(scene.random, 50, 3000)),
  },
  {
    name: 'agent and client away at once',
    begin(scene) {
      const { service, random } = scene;
      if (random() < 0.5) cut(scene);
      service.session.dropAgent(randomInteger(random, 50, 3000));
      later(scene, 0, 200, () => cut(scene));
    },
  },
  {
    name: 'no acknowledgements for a while',
    begin(scene) {
      const { behaviour } = scene.service.instance;
      behaviour.stopAcks = true;
      later(scene, 500, 15_000, () => {
        behaviour.stopAcks = false;
      });
    },
  },
  {
    name: 'some acknowledgements lost',
    begin({ service, random }) {
      service.instance.behaviour.dropAcks = randomInteger(random, 1, 20);
    },
  },
  {
    name: 'publication paused and started',
    begin(scene) {
      const { session } = scene.service;
      session.notify('client', 'pause');
      later(scene, 10, 5000, () => session.notify('client', 'start'));
      if (scene.random() < 0.5) return;
      session.notify('agent', 'pause');
      later(scene, 10, 5000, () => session.notify('agent', 'start'));
    },
  },
  {
    name: 'nothing passes for a while',
    begin(scene) {
      const { world } = scene.service;
      const ways = ['to-client', 'to-agent', 'both'] as const;
      const blackhole = ways[randomInteger(scene.random, 0, 2)] ?? 'both';
      world.changeFaults({ link: { blackhole } });
      later(scene, 100, 20_000, () => void world.changeFaults({ link: { blackhole: 'none' } }));
    },
  },
  {
    name: 'renewals and the service’s own close',
    times: { renewAfterMs: 700 },
    pauseMs: 120,
    begin: (scene) => scene.service.world.changeFaults({ lifetimes: { channelMs: 1500 } }),
  },
  {
    name: 'session ended while the client is away',
    ends: 'SESSION_GONE',
    begin(scene) {
      cut(scene);
      scene.service.session.end('');
    },
  },
  {
    name: 'instance terminated',
    ends: 'TARGET_TERMINATED',
    begin({ service, say }) {
      say();
      service.world.changeInstance(service.instance.instanceId, { state: 'terminated' });
    },
  },
];
