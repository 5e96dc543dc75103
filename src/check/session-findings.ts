/** The session of the trial, step by step. */
import type { Finding } from './finding.ts';
import { failed, failure, ok, skipped, warning } from './finding.ts';
import type { Trial } from './session-trial.ts';
import { SAMPLE_BYTES } from './session-trial.ts';
import { brief } from '../times-in-words.ts';

/** ssh's ConnectTimeout of SkyPilot's probes is 10 s; ten of them in a row should not be near it. Milliseconds. */
const SLOW_BANNER_MS = 5_000;
const SSH_PORT = 22;

export function sessionFindings(trial: Trial, port: number): readonly Finding[] {
  const { startedMs, readyMs, bannerMs, banner } = trial;
  const findings: Finding[] = [];
  const step = (id: string, what: string, at: number | undefined, seen: () => string): boolean => {
    if (at !== undefined) findings.push(ok(id, what, seen()));
    else if (trial.failure !== undefined) findings.push(failure(id, what, trial.failure));
    return at !== undefined;
  };
  const started = startedMs ?? 0;
  const ready = readyMs ?? 0;
  if (!step('session.start', 'StartSession', startedMs, () => brief(started))) return findings;
  const channel = (): string => `WebSocket and handshake with the agent, ${brief(ready - started)}`;
  if (!step('session.channel', 'Data channel', readyMs, channel)) return findings;
  const bannerFinding = portFinding(trial, port);
  findings.push(bannerFinding);
  if (bannerMs === undefined || banner === undefined) return findings;
  return [...findings, timeFinding(bannerMs), ...sampleFindings(trial)];
}

function portFinding(
  { readyMs, bannerMs, banner, isAccepted, failure: ended }: Trial,
  port: number,
): Finding {
  const id = 'session.banner';
  const what = port === SSH_PORT ? 'sshd' : `Port ${String(port)}`;
  if (bannerMs !== undefined)
    return ok(id, what, `says ${banner ?? ''}, ${brief(bannerMs - (readyMs ?? 0))}`);
  if (ended !== undefined) return failure(id, what, ended);
  if (!isAccepted) {
    return failed(
      id,
      what,
      `nothing answers on port ${String(port)}`,
      `check on the node that a server listens there: ss -tln`,
    );
  }
  const seen = 'accepts connections and says nothing';
  return port === SSH_PORT
    ? failed(id, what, seen, 'look at the log of sshd on the node (MaxStartups, a hanging DNS lookup)')
    : ok(id, what, `${seen}, as servers do where the client speaks first`);
}

function timeFinding(ms: number): Finding {
  const id = 'session.time';
  const seen = `${brief(ms)} from the start to the first byte`;
  if (ms < SLOW_BANNER_MS) return ok(id, 'Time to banner', seen);
  return warning(id, 'Time to banner', seen, 'launchers give ssh 10 s: see which step above took long');
}

function sampleFindings({ roundTripMs, bytesPerSecond }: Trial): readonly Finding[] {
  if (roundTripMs === undefined)
    return [skipped('session.rtt', 'Round trip', 'the port is no SSH server that answers')];
  const rtt = ok('session.rtt', 'Round trip', `${brief(roundTripMs)} to the agent and back`);
  if (bytesPerSecond === undefined)
    return [rtt, skipped('session.throughput', 'Throughput', 'no sample within its time')];
  const rate = `${(bytesPerSecond / 1e6).toFixed(1)} MB/s up, from a sample of ${String(SAMPLE_BYTES / 1024)} KiB`;
  return [
    rtt,
    ok('session.throughput', 'Throughput', `${rate}; downloads have a limit of about 1 MB/s in the agent`),
  ];
}
