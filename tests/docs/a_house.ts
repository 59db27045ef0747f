import { join } from "node:path";
import { output } from "../../packaging/run_command.ts";
import { HERE } from "../../packaging/target.ts";
import { aDirectory } from "../cli/captured.ts";
import { call } from "../support/a_daemon.ts";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import type { Installation } from "./an_installation.ts";
import type { Stage } from "./run_page.ts";

/** The delivery that the pages speak of. */
const SHOWN_DELIVERY = "dlv_01HS1JB3Y00000000000000042";

/**
 * Everything that the handbook's commands are about, as if it stood on a machine of its own: the
 * installed program, a running daemon, its service manager, a delivery that is exhausted, and files.
 */
export async function aHouse(
  { program, folder: built }: Installation,
): Promise<{ stage: Stage } & AsyncDisposable> {
  await using owned = new AsyncDisposableStack();
  const { path: house } = owned.use(await aDirectory());
  const receiver = owned.use(
    startRawServer((_request, index) => ({ status: index === 0 ? 500 : 200 })),
  );
  const [port, otherPort] = [freePort(), freePort()];
  const url = `http://127.0.0.1:${port}`;
  for (const name of ["bin", "opt", "etc", "data", "backups", "work", "home"]) {
    await Deno.mkdir(join(house, name));
  }
  await Deno.symlink(join(built, "dist"), join(house, "work", "dist"));
  await Deno.mkdir(join(house, "work", "packaging"));
  await Deno.writeTextFile(
    join(house, "etc", "config.json"),
    configText(house, port, receiver.url),
  );
  const env = {
    HOME: join(house, "home"),
    // What one house has compiled, the next need not.
    XDG_CACHE_HOME: join(built, "cache"),
    PATH: `${join(house, "bin")}:${program}:${Deno.env.get("PATH")}`,
    BELLHOOK_CONFIG: join(house, "etc", "config.json"),
    BELLHOOK_TOKEN: "a-token-that-nobody-asks-for",
    GUEST_APP_SECRET: `whsec_${btoa("x".repeat(32))}`,
    ROOSTSYNC_SECRET: "a secret of RoostSync's form",
    HOUSE: house,
    READY: `${url}/-/ready`,
  };
  const run = async (...args: string[]) => {
    const { success, stderr } = await new Deno.Command("bash", {
      args: ["-ec", ...args],
      cwd: join(house, "work"),
      clearEnv: true,
      env,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  };
  const curl = (await output("bash", ["-c", "command -v curl"])).trim();
  for (const [name, text] of programs(curl)) {
    await Deno.writeTextFile(join(house, "bin", name), text, { mode: 0o755 });
  }
  await run(FILES);
  owned.defer(() => run("systemctl stop bellhook"));
  await run("systemctl start bellhook");
  const posted = await call(`${url}/v1/events`, { method: "POST", body: AN_EVENT });
  const [delivery] = posted.body.deliveries;
  await until(async () => {
    const { body } = await call(`${url}/v1/deliveries/${delivery.id}`);
    return body.state === "exhausted";
  });
  const inHouse: readonly [string, string][] = [
    ["127.0.0.1:8420", `127.0.0.1:${port}`],
    ["--port 8421", `--port ${otherPort}`],
    ["/etc/bellhook", join(house, "etc")],
    ["/var/lib/bellhook", join(house, "data")],
    ["/var/backups", join(house, "backups")],
    ["/opt/bellhook", join(house, "opt", "bellhook")],
    ["/usr/local/bin", join(house, "bin")],
    ["linux-x64", HERE!.name],
    [SHOWN_DELIVERY, delivery.id],
  ];
  const kept = owned.move();
  return {
    stage: {
      folder: join(house, "work"),
      env,
      translate: (lines) =>
        inHouse.reduce((text, [theirs, ours]) => text.replaceAll(theirs, ours), lines),
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const AN_EVENT = {
  id: "bk_1-created",
  type: "booking.created",
  timestamp: "2024-03-15T10:30:00Z",
  data: { booking_id: "bk_1" },
};

function configText(house: string, port: number, receiver: string): string {
  const subscription = (id: string, more: object) => ({
    id,
    url: `${receiver}${id}`,
    secret: { env: "GUEST_APP_SECRET" },
    ...more,
  });
  return JSON.stringify({
    server: { listen: `127.0.0.1:${port}` },
    storage: { url: `sqlite:${house}/data/bellhook.db` },
    delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
    subscriptions: [
      subscription("guest-app", { events: ["booking.*", "payment.received"], retry: [] }),
      subscription("gone-for-good", { events: ["guest.*"], enabled: false }),
      subscription("new-customer", { events: ["order.*"], enabled: false }),
    ],
  });
}

/** Files that the pages take for granted: events, a request that is right, and one that is not. */
const FILES = `
cat > event.json << 'END'
{"id": "bk_7", "type": "booking.created", "scope": {"property_id": "p"}, "data": {"total": 1.10}}
END
echo '[{"id": "old-1", "type": "booking.created", "data": {}}]' > events.json
bellhook sign --subscription guest-app --event event.json > signed.http
sed 's/1[.]10/1.1/' signed.http > refused.http
`;

/** Programs of the machine that the house has in a form of its own. */
function programs(curl: string): readonly (readonly [name: string, text: string])[] {
  return [
    // What is answered with an error is an error.
    [
      "curl",
      `#!/bin/sh\ncase $1 in -f*) ;; *) set -- --fail-with-body "$@" ;; esac\nexec ${curl} "$@"\n`,
    ],
    ["sudo", '#!/bin/sh\n[ "$1" != -u ] || shift 2\nexec "$@"\n'],
    // The machine's users are left alone.
    ["useradd", "#!/bin/sh\n"],
    ["install", `#!/bin/bash\nexec /usr/bin/install "\${@/#bellhook/root}"\n`],
    ["systemctl", SYSTEMCTL],
  ];
}

const SYSTEMCTL = `#!/bin/sh
case $1 in
  stop)
    kill "$(cat "$HOUSE/pid")"
    for _ in $(seq 2400); do
      [ -e "$HOUSE/data/bellhook.db-lock" ] || exit 0
      sleep 0.05
    done
    kill -9 "$(cat "$HOUSE/pid")"
    exit 1 ;;
  start)
    setsid bellhook serve > "$HOUSE/log" 2>&1 < /dev/null &
    echo $! > "$HOUSE/pid"
    for _ in $(seq 2400); do
      curl -fs "$READY" > /dev/null && exit 0
      sleep 0.05
    done
    cat "$HOUSE/log" >&2
    exit 1 ;;
  reload) kill -HUP "$(cat "$HOUSE/pid")" ;;
esac
`;
