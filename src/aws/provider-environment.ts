/**
 * The SDK's credential providers read process.env and nothing else. A process that serves several environments (the
 * keeper of shared sessions) therefore lends them its own: one at a time, each for as long as one resolution takes.
 *
 * Not for the library, whose process.env belongs to somebody else.
 */

type Environment = Readonly<Record<string, string | undefined>>;

export interface ProviderEnvironment {
  /** Runs `action` while process.env is `env`. Calls wait for each other. */
  run<T>(env: Environment, action: () => Promise<T>): Promise<T>;
}

let last: Promise<unknown> = Promise.resolve();

export const providerEnvironment: ProviderEnvironment = {
  run(env, action) {
    const turn = last.then(async () => {
      const own = { ...process.env };
      replaceEnvironment(env);
      try {
        return await action();
      } finally {
        replaceEnvironment(own);
      }
    });
    last = turn.catch(() => {});
    return turn;
  },
};

function replaceEnvironment(env: Environment): void {
  for (const name of Object.keys(process.env)) if (env[name] === undefined) delete process.env[name];
  for (const [name, value] of Object.entries(env)) if (value !== undefined) process.env[name] = value;
}
