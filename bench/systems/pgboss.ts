import { runToEnd, startChild } from "../processes/child.ts";
import { freePort, until } from "../processes/waiting.ts";
import { peer, type Service } from "./peer.ts";
import type { System } from "./system.ts";

/** pg-boss on PostgreSQL with default settings, which are durable, but more memory. */
export const pgboss: System = peer({
  name: "pgboss",
  script: new URL("../peers/pgboss_server.ts", import.meta.url),
  service: startPostgres,
  dataFolder: "base",
});

/** Debian's folder of the programs; elsewhere they are on the PATH. */
const BIN = ["15", "16", "17", "18"].map((version) => `/usr/lib/postgresql/${version}/bin/`)
  .find((folder) => exists(`${folder}initdb`)) ?? "";

async function startPostgres(
  folder: string,
  preload?: string,
): Promise<Service> {
  // PostgreSQL refuses to run as root.
  const user = Deno.uid() === 0 ? await idsOf("postgres") : undefined;
  if (user) {
    Deno.chmodSync(`${folder}/..`, 0o755);
    Deno.chownSync(folder, user.uid, user.gid);
  }
  Deno.chmodSync(folder, 0o700);
  await runToEnd(`${BIN}initdb`, [
    ...["-D", folder, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C"],
  ], user);
  const port = freePort();
  const settings = {
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    shared_buffers: "256MB",
    max_wal_size: "2GB",
    logging_collector: "on",
  };
  const child = startChild({
    command: `${BIN}postgres`,
    args: [
      "-D",
      folder,
      ...Object.entries(settings).flatMap(([k, v]) => ["-c", `${k}=${v}`]),
    ],
    log: "/dev/null",
    ...user,
    ...(preload === undefined ? {} : { env: { LD_PRELOAD: preload } }),
  });
  const address = ["-h", "127.0.0.1", "-p", String(port), "-U", "bench"];
  await until(
    "PostgreSQL to be ready",
    { everyMs: 50, limitMs: 30_000 },
    async () => {
      const args = [...address, "-d", "postgres", "-q"];
      return (await new Deno.Command(`${BIN}pg_isready`, { args }).output())
        .success;
    },
  );
  await runToEnd(`${BIN}createdb`, [...address, "bench"]);
  return {
    pid: child.process.pid,
    url: `postgres://bench@127.0.0.1:${port}/bench`,
    async stop() {
      // A smart shutdown, SIGTERM's, waits for sessions; SIGINT's ends them.
      child.process.kill("SIGINT");
      await child.process.status;
    },
  };
}

async function idsOf(user: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ["-u", "-g"].map(async (which) => Number(await runToEnd("id", [which, user]))),
  );
  return { uid: uid!, gid: gid! };
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
