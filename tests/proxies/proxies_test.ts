/** The proxies that docs/proxies.md shows, run with the very blocks that stand there. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { Secret } from "../../src/domain/secret.ts";
import { blocksOf } from "../docs/pages.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { freePort, kill } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { type Certificates, makeCertificates } from "../transport/certificates.ts";

interface Proxy {
  readonly name: string;
  /** Where the program is, on most machines. */
  readonly program: string;
  /** The language of its block in the docs. */
  readonly block: string;
  /** The block as a whole config, with places of the test's own. */
  config(block: string, places: Places): string;
  args(places: Places): readonly string[];
}

interface Places {
  readonly folder: string;
  readonly port: number;
  readonly daemonPort: number;
}

const PROXIES: readonly Proxy[] = [
  {
    name: "nginx",
    program: "/usr/sbin/nginx",
    block: "nginx",
    config: (block, { folder, port }) =>
      `pid ${folder}/pid; error_log ${folder}/error.log; events {}
       http { access_log off; ${
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
          .map((one) => `${one}_temp_path ${folder}/${one};`).join(" ")
      }\n${block.replace("listen 443", `listen 127.0.0.1:${port}`)} }`,
    args: ({ folder }) => ["-p", folder, "-c", `${folder}/config`, "-g", "daemon off; user root;"],
  },
  {
    name: "HAProxy",
    program: "/usr/sbin/haproxy",
    block: "haproxy",
    config: (block, { port }) => block.replace("bind :443", `bind 127.0.0.1:${port}`),
    args: ({ folder }) => ["-db", "-f", `${folder}/config`],
  },
  {
    name: "Caddy",
    program: "/usr/bin/caddy",
    block: "caddy",
    config: (block, { port }) =>
      "{\n  admin off\n  auto_https disable_redirects\n}\n" +
      block.replace("hooks.example.com", `https://127.0.0.1:${port}`),
    args: ({ folder }) => ["run", "--adapter", "caddyfile", "--config", `${folder}/config`],
  },
];

const certificates = await makeCertificates();
const blocks = blocksOf(await Deno.readTextFile("docs/proxies.md"));

async function isHere({ program }: Proxy): Promise<boolean> {
  return await Deno.stat(program).then(() => true, () => false);
}

/** Starts it before whatever listens on that port. */
async function before(proxy: Proxy, daemonPort: number, { valid, ca }: Certificates) {
  const folder = await Deno.makeTempDir();
  const places = { folder, port: freePort(), daemonPort };
  await Deno.writeTextFile(join(folder, "cert.pem"), valid.cert);
  await Deno.writeTextFile(join(folder, "key.pem"), valid.key);
  await Deno.writeTextFile(join(folder, "both.pem"), valid.cert + valid.key);
  const shown = blocks.find(({ language }) => language === proxy.block)!.text;
  const block = shown.replaceAll("/etc/ssl/bellhook", folder)
    .replaceAll("127.0.0.1:8420", `127.0.0.1:${daemonPort}`);
  await Deno.writeTextFile(join(folder, "config"), proxy.config(block, places));
  const process = new Deno.Command(proxy.program, {
    args: [...proxy.args(places)],
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    stdout: "null",
    stderr: "null",
  }).spawn();
  const http = Deno.createHttpClient({ caCerts: [ca] });
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`https://127.0.0.1:${places.port}${path}`, { redirect: "manual", ...init, client: http });
  await until(
    async () => {
      try {
        await (await ask("/-/healthy")).body?.cancel();
        return true;
      } catch {
        return false;
      }
    },
    `${proxy.name} answers`,
  );
  return {
    ask,
    async [Symbol.asyncDispose]() {
      http.close();
      await kill(process);
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const TOKEN = "the-token-of-ada";
const BEARER = { authorization: `Bearer ${TOKEN}` };

for (const proxy of PROXIES) {
  const here = await isHere(proxy);
  Deno.test({
    name: `${proxy.name}${
      here ? "" : " (not here)"
    }: posts, large bodies, signing in and the stream pass it`,
    ignore: !here,
    async fn() {
      const auth = { publishers: [], operators: [{ name: "ada", token: new Secret(TOKEN) }] };
      await using daemon = await aDaemon(aConfig({
        auth,
        server: { ...aConfig().server, maxBodyBytes: 4 * 1024 * 1024 },
      }));
      await using front = await before(proxy, Number(new URL(daemon.url).port), certificates);
      const post = (bytes: number) =>
        front.ask("/v1/events", {
          method: "POST",
          headers: { ...BEARER, "content-type": "application/json" },
          body: JSON.stringify({ type: "t", data: "x".repeat(bytes) }),
        });
      const stream = await front.ask("/v1/stream", { headers: BEARER });
      const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
      assertStringIncludes((await reader.read()).value!, "retry: ");
      await reader.cancel();

      for (const bytes of [10, 200 * 1024, 2 * 1024 * 1024]) {
        const answer = await post(bytes);
        await answer.body?.cancel();
        assertEquals([bytes, answer.status], [bytes, 202]);
      }

      const page = await (await front.ask("/dashboard/sign-in")).text();
      const csrf = /name="csrf" value="([^"]*)"/.exec(page)![1]!;
      const signedIn = await front.ask("/dashboard/sign-in", {
        method: "POST",
        body: new URLSearchParams({ csrf, token: TOKEN }),
      });
      await signedIn.body?.cancel();
      assertEquals([signedIn.status, signedIn.headers.get("location")], [303, "/"]);
      const cookie = signedIn.headers.get("set-cookie")!;
      assertStringIncludes(cookie, "; Secure");
      const overview = await front.ask("/", { headers: { cookie: cookie.split(";")[0]! } });
      assertStringIncludes(await overview.text(), "Overview");
    },
  });

  Deno.test({
    name: `${proxy.name}${here ? "" : " (not here)"}: the client's address is the real one`,
    ignore: !here,
    async fn() {
      await using daemon = startRawServer({ body: "ok" });
      await using front = await before(proxy, daemon.port, certificates);
      const forged = { "x-forwarded-for": "203.0.113.7", "x-forwarded-proto": "http" };
      const answer = await front.ask("/asked", { headers: forged });
      assertEquals(await answer.text(), "ok");
      const request = daemon.requests.find(({ target }) => target === "/asked")!;
      assertEquals(request.header("x-forwarded-for"), "127.0.0.1");
      assertEquals(request.header("x-forwarded-proto"), "https");
      assert(/^127\.0\.0\.1:\d+$/.test(request.header("host")!), request.head);
    },
  });
}
