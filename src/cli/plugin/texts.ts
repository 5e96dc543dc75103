/**
 * What the official session-manager-plugin writes to stdout, to the letter: people's tools wait for these texts. In a
 * session whose stdout carries the bytes of a port none of them is written (plugin-view.ts).
 */

export const PRESENT =
  '\nThe Session Manager plugin was installed successfully. Use the AWS CLI to start a session.\n\n';
export const FOREIGN_OPERATION = 'Invalid Operation';
export const WAITING = '\nWaiting for connections...\n';
export const CONNECT_FAILED = '\nConnection to destination port failed, check SSM Agent logs.\n';
export const INTERRUPTED = 'Terminate signal received, exiting.\n';

export function unknownOperation(word: string): string {
  return `\nUnknown operation ${word}. \nUse session-manager-plugin --version to check the version.\n\n`;
}

export function cannotStart(reason: string): string {
  return `Cannot perform start session: ${reason}\n`;
}

export function starting(sessionId: string): string {
  return `\nStarting session with SessionId: ${sessionId}\n`;
}

export function portOpened(port: number, sessionId: string): string {
  return `Port ${port} opened for sessionId ${sessionId}.`;
}

export function socketOpened(path: string, sessionId: string): string {
  return `Unix socket ${path} opened for sessionId ${sessionId}.`;
}

/** Of the first connection. The wording depends on whether there can be several at once. */
export function accepted(sessionId: string, isMultiplexed: boolean): string {
  return isMultiplexed
    ? `\nConnection accepted for session [${sessionId}]\n`
    : `Connection accepted for session ${sessionId}.\n`;
}

export function exiting(sessionId: string): string {
  return `\n\nExiting session with sessionId: ${sessionId}.\n\n`;
}

/** The far end's own words for its end. */
export function ended(sessionId: string, output: string): string {
  return `\n\nSessionId: ${sessionId} : ${output}\n\n`;
}

export function timedOut(sessionId: string): string {
  return `Session: ${sessionId} timed out.\n`;
}
