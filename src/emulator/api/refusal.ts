/**
 * An AWS error on its way to the wire. It never leaves the emulator's API: the dispatcher turns it into the error
 * shape of the service's protocol. (ProxyError is for people at this end; this is an answer to a client.)
 */
export class Refusal extends Error {
  readonly code: string;
  readonly status: number;

  /** `status` is the HTTP status; 400 is what most AWS errors have. */
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
    this.status = status;
  }
}

/** The API model's constraint check, in its words. `member` in lower camel case. */
export function constraintViolation(
  value: string | number | undefined,
  member: string,
  constraint: string,
): Refusal {
  const shown = value === undefined ? 'null' : `'${value}'`;
  return new Refusal(
    'ValidationException',
    `1 validation error detected: Value ${shown} at '${member}' failed to satisfy constraint: ${constraint}`,
  );
}
