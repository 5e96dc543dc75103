/**
 * The library. It writes nothing anywhere and keeps no state of the process; every failure is a ProxyError with a
 * stable `code` (docs/errors.md).
 */
export { connect } from './connect.ts';
export { forward } from './forward.ts';
export type { Forward, ForwardListen, ForwardListening, ForwardOptions, ForwardTo } from './forward.ts';
export type { ConnectOptions } from './connect.ts';
export { exec } from './exec.ts';
export type { ExecOptions, ExecResult } from './exec.ts';
export { resolve } from './resolve.ts';
export type { ResolvedTarget } from './resolve.ts';
export { startEmulator } from './start-emulator.ts';
export type { EmulatorSettings, RunningEmulator } from './start-emulator.ts';
export type { SessionOptions, TargetOptions } from './library-options.ts';
export type { SessionDuplex } from './session/duplex.ts';
export { ERROR_TABLE, ProxyError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { Log, LogFields, LogLevel } from './log.ts';
export { createLog } from './log.ts';
