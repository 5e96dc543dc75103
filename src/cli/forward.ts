/**
 * `ssm-proxy forward`: local ports and sockets, joined to what a node reaches, until a signal, or for as long as a
 * command runs. All sessions are ended at the end, within 2 s.
 */
import { systemClock } from '../clock.ts';
import { ProxyError, asProxyError } from '../errors.ts';
import { openForwardSession } from '../forward/forward-session.ts';
import { Forwarder, nameOf } from '../forward/forwarder.ts';
import type { ForwardRule, Listening, OpenForwardSession } from '../forward/forwarder.ts';
import { formatAddress } from '../forward/listener.ts';
import { MAX_SESSIONS } from '../forward/pool.ts';
import { FlightRecorder } from '../session/flight-recorder.ts';
import { forwardPurpose } from '../session-purpose.ts';
import { FlightFile } from './flight-file.ts';
import { ForwardCommand } from './forward-command.ts';
import { parseDynamicForward, parseLocalForward } from './forward-rules.ts';
import type { CliIo } from './io.ts';
import { openLog } from './log-file.ts';
import type { OptionReader } from './option-values.ts';
import { wholeNumber } from './option-values.ts';
import { writeOut } from './output.ts';
import { printable } from './report.ts';
import type { SessionArgs } from './session-args.ts';
import { readSessionArgs, sessionRequest } from './session-args.ts';
import { processFacts, reason } from './session-facts.ts';
import { SessionTraces } from './session-traces.ts';
import { ShutdownWatch } from './shutdown-watch.ts';
import { StatusLine } from './status-line.ts';
import { Troubles } from './troubles.ts';

export interface ForwardArgs extends SessionArgs {
  readonly target: string;
  readonly rules: readonly ForwardRule[];
  readonly sessions: number | 'auto';
  readonly json: boolean;
  /** Undefined: stay until a signal. */
  readonly command: readonly string[] | undefined;
}

/** The JSON's form; goes up when a field changes its meaning or goes away. */
const SCHEMA = 1;

/** Throws USAGE. */
export function readForwardArgs(
  target: string,
  command: readonly string[] | undefined,
  options: OptionReader,
): ForwardArgs {
  const rules = [
    ...options.texts('local').map(parseLocalForward),
    ...options.texts('dynamic').map(parseDynamicForward),
  ];
  if (rules.length === 0) {
    throw new ProxyError('USAGE', 'there is nothing to forward', {
      hint: 'give -L or -D, such as -L 8080:80 for port 80 of the instance',
    });
  }
  if (command?.length === 0) throw new ProxyError('USAGE', 'there is no command after --');
  return {
    ...readSessionArgs(options),
    target,
    rules,
    sessions: readSessions(options),
    json: options.switch('json'),
    command,
  };
}

function readSessions(options: OptionReader): number | 'auto' {
  const text = options.text('sessions') ?? '1';
  const sessions = text === 'auto' ? text : wholeNumber(text, 1, MAX_SESSIONS);
  if (sessions !== undefined) return sessions;
  throw new ProxyError('USAGE', `--sessions ${JSON.stringify(text)} cannot be used`, {
    hint: `give a number from 1 to ${MAX_SESSIONS}, or auto`,
  });
}

/** Exit status. Throws the ProxyError that keeps it from starting. */
export async function runForward(args: ForwardArgs, io: CliIo): Promise<number> {
  const log = openLog(args, io);
  const wallClock = (): number => systemClock.wallNow();
  const recorder = new FlightRecorder(processFacts(wallClock()));
  const flightFile = new FlightFile(recorder, io.env, log, wallClock);
  const status = new StatusLine(io, args.quiet);
  const traces = new SessionTraces(io.env, log, wallClock);
  const stop = new Stop(io);
  const open: OpenForwardSession = (to, events, signal) => {
    const name = nameOf(to);
    const trace = traces.open(`${args.target} ${name}`);
    return openForwardSession(
      sessionRequest(
        args,
        args.target,
        forwardPurpose({ ...args, ...to }),
        reason(`forward ${args.target} ${name}`),
      ),
      { env: io.env, clock: systemClock, log, recorder },
      {
        onStage: (stage) => status.show(stage),
        onStarted: (started) => {
          recorder.describe({ sessionId: started.sessionId, instanceId: started.instanceId });
          trace.begin(started);
        },
        onTerminated: () => trace.over(),
        onNotice: (text) => io.stderr.write(`${text.replace(/^/gm, 'ssm-proxy: ')}\n`),
        onLink: (state) => log.info('link', { state, destination: name }),
        onEnd: (outcome) => events.onEnd(outcome),
      },
      signal,
    );
  };
  const troubles = new Troubles(io, log);
  const forwarder = new Forwarder({
    rules: args.rules,
    sessions: args.sessions,
    open,
    clock: systemClock,
    onTrouble: (error) => troubles.tell(error),
  });
  stop.onStop = () => void forwarder.close();
  stop.watch.start();
  flightFile.start();
  io.crashGuard?.takeOver((error) => stop.crash(error));
  try {
    await forwarder.start();
    status.clear();
    if (stop.exitStatus !== undefined) return stop.exitStatus;
    await announce(args, forwarder.listening, io);
    const exitStatus = await (args.command === undefined
      ? stop.asked
      : runCommand(args.command, forwarder.listening, io, stop));
    return exitStatus;
  } catch (thrown) {
    if (stop.crashError === undefined && stop.exitStatus !== undefined) return stop.exitStatus;
    status.clear();
    throw await flightFile.explain(stop.crashError ?? asProxyError(thrown), traces.hasBegun);
  } finally {
    status.clear();
    stop.watch.stop();
    await forwarder.close();
    await traces.end();
    log.close();
  }
}

async function runCommand(
  words: readonly string[],
  listening: readonly Listening[],
  io: CliIo,
  stop: Stop,
): Promise<number> {
  const ports = listening.flatMap(({ address }) => (address.kind === 'tcp' ? [address.port] : []));
  const command = new ForwardCommand(words, { ...io.env, SSM_PROXY_FORWARD_PORTS: ports.join(',') });
  stop.onSignal = (exitStatus) => command.signal(exitStatus);
  return Promise.race([command.finished, stop.asked]);
}

async function announce(args: ForwardArgs, listening: readonly Listening[], io: CliIo): Promise<void> {
  for (const { rule, address } of listening) {
    const to =
      rule.kind === 'socks'
        ? `SOCKS proxy to what ${args.target} reaches`
        : `${nameOf(rule.to)} of ${args.target}`;
    io.stderr.write(`ssm-proxy: ${printable(`${formatAddress(address)} is ${to}`)}\n`);
  }
  if (!args.json) return;
  const facts = listening.map(({ rule, address }) => ({
    ...(address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }),
    kind: rule.kind,
    ...(rule.kind === 'local' ? { to: { host: rule.to.host ?? null, port: rule.to.port } } : {}),
  }));
  await writeOut(io.stdout, `${JSON.stringify({ schema: SCHEMA, target: args.target, listening: facts })}\n`);
}

/** Signals and crashes: what ends a forward from outside. */
class Stop {
  readonly asked: Promise<number>;
  readonly watch: ShutdownWatch;
  exitStatus: number | undefined;
  crashError: ProxyError | undefined;
  onStop: () => void = () => {};
  /** Takes signals in place of `onStop`: the command decides. */
  onSignal: ((exitStatus: number) => void) | undefined;
  #resolve: (exitStatus: number) => void = () => {};
  #reject: (error: ProxyError) => void = () => {};

  constructor(io: CliIo) {
    this.asked = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.asked.catch(() => {});
    this.watch = new ShutdownWatch({
      onShutdown: (exitStatus) => {
        if (this.onSignal !== undefined) {
          this.onSignal(exitStatus);
          return;
        }
        if (this.exitStatus !== undefined) return;
        this.exitStatus = exitStatus;
        io.onEnding?.(exitStatus);
        this.onStop();
        this.#resolve(exitStatus);
      },
      // It may have been left behind on purpose.
      isOrphanIdle: () => false,
    });
  }

  crash(error: ProxyError): void {
    this.crashError = error;
    this.onStop();
    this.#reject(error);
  }
}
