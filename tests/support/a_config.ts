import type { Config } from "../../src/config/config.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";

/** A config on loopback, without tokens, with an in-memory database that deletes nothing. */
export function aConfig(overrides: Partial<Config> = {}): Config {
  return {
    path: "/nowhere/config.json",
    server: {
      listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
      maxBodyBytes: 256 * 1024,
      shutdownGraceMs: 2_000,
      socketMode: 0o660,
      basePath: "",
    },
    storage: {
      path: ":memory:",
      keepDeliveredMs: 30 * 86_400_000,
      keepExhaustedMs: 90 * 86_400_000,
    },
    totalConcurrency: 256,
    notify: [],
    profiles: BUILT_IN,
    subscriptions: [],
    ...overrides,
  };
}
