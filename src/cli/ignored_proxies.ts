import type { Environment } from "../runtime/environment.ts";

/** Variables by which other programs are told of a proxy. */
const VARIABLES = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] as const;

/** Those that are set here. Bellhook goes by none of them: their values may hold passwords. */
export function ignoredProxies(environment: Environment): string[] {
  return VARIABLES.flatMap((name) => [name, name.toLowerCase()])
    .filter((name) => environment.get(name)?.trim());
}
