/**
 * The library. It writes nothing anywhere and keeps no state of the process; every failure is a ProxyError with a
 * stable `code` (docs/errors.md).
 */
export { connect } from './connect.ts';
export { forward } from './forward.ts';
export type { Forward, ForwardListen, ForwardListening, ForwardOptions, ForwardTo } from './forward.ts';
export type { ConnectOptions } from './connect.ts';
export type { SessionDuplex } from './session/duplex.ts';
export { ERROR_TABLE, ProxyError } from './errors.ts';
export type { ErrorCode } from './errors.ts';
export type { Log, LogFields, LogLevel } from './log.ts';
export { createLog } from './log.ts';
