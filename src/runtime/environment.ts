/** The only door to environment variables. */
export interface Environment {
  get(name: string): string | undefined;
}

export const systemEnvironment: Environment = { get: (name) => Deno.env.get(name) };
