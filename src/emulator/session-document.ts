/**
 * Session documents: parameters with their checks, and what the agent gets out of them. The built-in ones are
 * those of AWS with the same names and defaults; an account may add its own.
 */

export interface DocumentParameter {
  /** Undefined: must be given. */
  readonly defaultValue: string | undefined;
  /** Whole value must match; undefined: anything. */
  readonly pattern: RegExp | undefined;
}

export interface SessionDocument {
  readonly name: string;
  readonly sessionType: 'Standard_Stream' | 'Port' | 'InteractiveCommands' | 'NonInteractiveCommands';
  readonly parameters: Readonly<Record<string, DocumentParameter>>;
  /** Port sessions: properties the agent gets; '{{ name }}' stands for a parameter. */
  readonly properties: Readonly<Record<string, string>>;
  /** Command sessions: the command line, with parameters. */
  readonly command: string | undefined;
  readonly separateOutputStream: boolean;
  /** Agents below this one refuse it. */
  readonly minimumAgentVersion: string;
}

/** Document used when StartSession names none. */
export const SHELL_DOCUMENT = 'SSM-SessionManagerRunShell';

const PORT_NUMBERS = '[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]';
const PORT = new RegExp(`^(${PORT_NUMBERS})$`);
const LOCAL_PORT = new RegExp(`^(0|${PORT_NUMBERS})$`);
const PORT_AGENT = '2.3.672.0';

export function builtInDocuments(): SessionDocument[] {
  const base = {
    parameters: {},
    properties: {},
    command: undefined,
    separateOutputStream: false,
    minimumAgentVersion: '1.0',
  };
  const portNumber = { defaultValue: '22', pattern: PORT };
  const webPortNumber = { defaultValue: '80', pattern: PORT };
  const localPortNumber = { defaultValue: '0', pattern: LOCAL_PORT };
  const forwarding = {
    portNumber: '{{ portNumber }}',
    localPortNumber: '{{ localPortNumber }}',
    type: 'LocalPortForwarding',
  };
  const command = { defaultValue: undefined, pattern: undefined };
  return [
    { ...base, name: SHELL_DOCUMENT, sessionType: 'Standard_Stream' },
    {
      ...base,
      name: 'AWS-StartSSHSession',
      sessionType: 'Port',
      parameters: { portNumber },
      properties: { portNumber: '{{ portNumber }}' },
      minimumAgentVersion: PORT_AGENT,
    },
    {
      ...base,
      name: 'AWS-StartPortForwardingSession',
      sessionType: 'Port',
      parameters: { portNumber: webPortNumber, localPortNumber },
      properties: forwarding,
      minimumAgentVersion: PORT_AGENT,
    },
    {
      ...base,
      name: 'AWS-StartPortForwardingSessionToRemoteHost',
      sessionType: 'Port',
      parameters: {
        portNumber: webPortNumber,
        localPortNumber,
        host: { defaultValue: undefined, pattern: /^[^,$^&()!;'"<>`{}[\]|#=]{3,}$/ },
      },
      properties: { ...forwarding, host: '{{ host }}' },
      minimumAgentVersion: '3.1.1374.0',
    },
    {
      ...base,
      name: 'AWS-StartInteractiveCommand',
      sessionType: 'InteractiveCommands',
      parameters: { command },
      command: '{{ command }}',
    },
    {
      ...base,
      name: 'AWS-StartNonInteractiveCommand',
      sessionType: 'NonInteractiveCommands',
      parameters: { command },
      command: '{{ command }}',
      minimumAgentVersion: '3.0.1124.0',
    },
  ];
}

/** Values of all parameters of the document, or what is wrong with those given. */
export function resolveParameters(
  document: SessionDocument,
  given: Readonly<Record<string, readonly string[]>>,
): { readonly values: Readonly<Record<string, string>> } | { readonly problem: string } {
  for (const name of Object.keys(given)) {
    if (document.parameters[name] === undefined) {
      return { problem: `Parameter "${name}" is not defined in document ${document.name}.` };
    }
  }
  const values: Record<string, string> = {};
  for (const [name, parameter] of Object.entries(document.parameters)) {
    const value = given[name]?.[0] ?? parameter.defaultValue;
    if (value === undefined) return { problem: `Parameter "${name}" requires a value.` };
    if (parameter.pattern !== undefined && !parameter.pattern.test(value)) {
      return {
        problem: `Parameter "${name}" has value "${value}" not matching ${parameter.pattern.source}.`,
      };
    }
    values[name] = value;
  }
  return { values };
}

/** Replaces '{{ name }}' by the parameter's value. */
export function substitute(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => values[name] ?? whole);
}
