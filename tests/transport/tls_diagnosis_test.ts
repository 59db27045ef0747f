import { assert, assertEquals, assertMatch } from "@std/assert";
import { diagnose } from "../../src/domain/diagnosis.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const SAN = "subjectAltName=IP:127.0.0.1,DNS:api.example\nbasicConstraints=CA:FALSE\n";

/** A server that refuses us, or that we refuse; and what is to be said of it. */
interface Case {
  readonly name: string;
  /** Arguments of `openssl s_server`. */
  readonly server: string;
  readonly host?: string;
  /** Authorities to trust. */
  readonly ca?: readonly string[];
  /** The cause, as it is stored. */
  readonly cause: RegExp;
  /** What to do. */
  readonly fix: RegExp;
}

const CASES: readonly Case[] = [
  {
    name: "a certificate with only a common name",
    server: "-cert cn.pem -key cn.key",
    ca: ["ca.pem"],
    cause: /^certificate of api\.example names "api\.example" only as its common name$/,
    fix: /renew its certificate with the host as a subject alternative name/,
  },
  {
    name: "a certificate of another host",
    server: "-cert ok.pem -key ok.key",
    host: "other.example",
    ca: ["ca.pem"],
    cause: /^certificate is for 127\.0\.0\.1, api\.example, not other\.example$/,
    fix: /check the host in the subscription's url/,
  },
  {
    name: "a self-signed CA certificate as the server's own",
    server: "-cert selfca.pem -key selfca.key",
    cause: /^certificate of api\.example is an authority's own \(CA:TRUE\), not one for a server$/,
    fix: /basicConstraints=critical,CA:FALSE.*DENO_CERT/,
  },
  {
    name: "the same though it is trusted",
    server: "-cert selfca.pem -key selfca.key",
    ca: ["selfca.pem"],
    cause: /is an authority's own/,
    fix: /server certificate, without CA:TRUE/,
  },
  {
    name: "a self-signed certificate",
    server: "-cert self.pem -key self.key",
    cause: /^certificate of api\.example is self-signed, and not trusted here$/,
    fix: /DENO_CERT.*DENO_TLS_CA_STORE=system,mozilla.*public authority/,
  },
  {
    name: "an authority that is not known",
    server: "-cert ok.pem -key ok.key",
    cause: /^certificate of api\.example was issued by "Test-CA", which is not trusted here$/,
    fix: /a proxy on the way that inspects TLS, trust it here: set DENO_TLS_CA_STORE/,
  },
  {
    name: "a chain without its intermediate",
    server: "-cert leaf.pem -key leaf.key",
    ca: ["ca.pem"],
    cause: /was issued by "Intermediate-CA", which is not trusted here$/,
    fix: /has to send the full chain \(fullchain\.pem/,
  },
  {
    name: "a certificate that is over",
    server: "-cert expired.pem -key expired.key",
    ca: ["ca.pem"],
    cause: /^certificate expired on 2024-01-01$/,
    fix: /has to renew its certificate.*this machine's clock is wrong/,
  },
  {
    name: "a certificate that is not valid yet",
    server: "-cert early.pem -key early.key",
    ca: ["ca.pem"],
    cause: /^certificate is not valid before 2098-01-01$/,
    fix: /clock is wrong/,
  },
  {
    name: "a certificate for clients",
    server: "-cert eku.pem -key eku.key",
    ca: ["ca.pem"],
    cause: /^certificate of api\.example is for clients, not for servers$/,
    fix: /serverAuth/,
  },
  {
    name: "an RSA key of 1024 bits",
    server: "-cert weak.pem -key weak.key -cipher ALL:@SECLEVEL=0",
    ca: ["ca.pem"],
    cause: /has a broken signature, or its key is too weak$/,
    fix: /RSA 2048 bits/,
  },
  {
    name: "a signature by SHA-1",
    server: "-cert sha1.pem -key sha1.key -cipher ALL:@SECLEVEL=0",
    ca: ["rsa.pem"],
    cause: /is signed with SHA-1 \(sha1WithRSAEncryption\), which is no longer accepted$/,
    fix: /with SHA-256/,
  },
  {
    name: "a client certificate wanted, by TLS 1.3",
    server: "-cert ok.pem -key ok.key -Verify 1 -CAfile ca.pem -verify_return_error",
    ca: ["ca.pem"],
    cause: /^api\.example wants a client certificate \(CertificateRequired\)$/,
    fix: /Bellhook sends none/,
  },
  {
    name: "a client certificate wanted, by TLS 1.2",
    server: "-cert ok.pem -key ok.key -Verify 1 -CAfile ca.pem -verify_return_error -tls1_2",
    ca: ["ca.pem"],
    cause: /^api\.example refused the TLS handshake \(HandshakeFailure\)$/,
    fix: /wants a client certificate.*only old ciphers/,
  },
  {
    name: "old ciphers alone",
    server: "-cert ok.pem -key ok.key -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA",
    ca: ["ca.pem"],
    cause: /refused the TLS handshake/,
    fix: /ECDHE with AES-GCM/,
  },
  {
    name: "TLS 1.1 alone",
    server: "-cert ok.pem -key ok.key -tls1_1 -cipher ALL:@SECLEVEL=0",
    ca: ["ca.pem"],
    cause: /^api\.example speaks neither TLS 1\.2 nor 1\.3$/,
    fix: /TLS 1\.2 be turned on/,
  },
  {
    name: "HTTP/2 alone",
    server: "-cert ok.pem -key ok.key -alpn h2",
    ca: ["ca.pem"],
    cause: /^api\.example does not speak HTTP\/1\.1 over TLS \(NoApplicationProtocol\)$/,
    fix: /offer HTTP\/1\.1 beside HTTP\/2/,
  },
  {
    name: "a name that the server does not know",
    server: "-cert ok.pem -key ok.key -servername x.example -servername_fatal " +
      "-cert2 ok.pem -key2 ok.key",
    ca: ["ca.pem"],
    cause: /^the server knows no host api\.example \(UnrecognisedName\)$/,
    fix: /set up for that name \(SNI\)/,
  },
];

Deno.test("TLS: each way to fail says its cause and what to do about it", async (t) => {
  const dir = await Deno.makeTempDir();
  try {
    await makeAll(dir);
    for (const one of CASES) await t.step(one.name, () => fails(one, dir));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("TLS: a port without it says so, and so does one with it that is spoken to in the clear", async (t) => {
  await t.step("plain HTTP where the url says https", async () => {
    await using server = answering("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    const { message, diagnosis } = await failure(`https://api.example:${server.port}/`);
    assertEquals(message, "what answers at api.example does not speak TLS on this port");
    assertMatch(diagnosis, /check the url's port: .*allowHttp/);
  });
  await t.step("a port that closes at once", async () => {
    await using server = answering("");
    const { message, diagnosis } = await failure(`https://api.example:${server.port}/`);
    assertMatch(message, /the receiver closed the connection|does not speak TLS/);
    assertMatch(diagnosis, /check the url's port/);
  });
  const dir = await Deno.makeTempDir();
  try {
    await makeAll(dir, ["ok"]);
    await t.step("TLS where the url says http", async () => {
      await using server = await serve("-cert ok.pem -key ok.key", dir);
      const { diagnosis } = await failure(`http://api.example:${server.port}/`);
      assertMatch(diagnosis, /write https:\/\//);
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

for (
  const [server, body] of Object.entries({
    nginx: "<center>The plain HTTP request was sent to HTTPS port</center>",
    Apache: "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
    Go: "Client sent an HTTP request to an HTTPS server.\n",
  })
) {
  Deno.test(`TLS: what ${server} answers to plain HTTP says to write https`, async () => {
    await using there = startRawServer({ status: 400, body });
    const { diagnosis } = await failure(`http://api.example:${there.port}/`);
    assertEquals(
      diagnosis,
      "answered 400: this port is one for TLS; write https:// in the subscription's url",
    );
  });
}

async function fails(
  { server: args, host = "api.example", ca = [], cause, fix }: Case,
  dir: string,
) {
  await using server = await serve(args, dir);
  const trusted = await Promise.all(ca.map((name) => Deno.readTextFile(`${dir}/${name}`)));
  const { kind, message, diagnosis } = await failure(`https://${host}:${server.port}/`, trusted);
  assertEquals(kind, "tls");
  assertMatch(message, cause);
  assert(diagnosis.startsWith(`${message}: `));
  assertMatch(diagnosis.slice(message.length + 2), fix);
}

/** What comes of a request: it must fail. */
async function failure(url: string, ca?: readonly string[]) {
  const transport = http1Transport({
    clock: systemClock,
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ...(ca && { tls: { ca } }),
  });
  try {
    const outcome = await transport.send({
      url,
      headers: [],
      body: new TextEncoder().encode("{}"),
      deadlineMs: 20_000,
      allowNetworks: ["127.0.0.0/8"],
      pool: url,
    });
    const diagnosis = diagnose(outcome, false)!;
    return outcome.kind === "failed"
      ? { ...outcome.error, diagnosis }
      : { kind: "answered", message: String(outcome.status), diagnosis };
  } finally {
    await transport.close();
  }
}

/** A server that says this on every connection, whatever it was sent, and closes it. */
function answering(text: string) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    for await (const conn of listener) {
      await conn.read(new Uint8Array(2_000));
      await conn.write(new TextEncoder().encode(text));
      conn.close();
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
    },
  };
}

async function serve(args: string, cwd: string) {
  const port = freePort();
  const process = new Deno.Command("openssl", {
    args: ["s_server", "-accept", `127.0.0.1:${port}`, "-www", "-quiet", ...args.split(" ")],
    cwd,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(async () => {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return true;
    } catch {
      return false;
    }
  }, "openssl listens");
  return {
    port,
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}

/** A certificate to make: its subject, its extensions, and who signs it for which time. */
interface Wanted {
  readonly extensions: string;
  readonly subject?: string;
  readonly signer?: string;
  readonly validity?: string;
  readonly key?: string;
  readonly digest?: string;
}

const WANTED: Readonly<Record<string, Wanted>> = {
  ok: { extensions: SAN },
  cn: { extensions: "basicConstraints=CA:FALSE\n", subject: "/CN=api.example" },
  eku: { extensions: `${SAN}extendedKeyUsage=clientAuth\n` },
  expired: {
    extensions: SAN,
    validity: "-startdate 20230101000000Z -enddate 20240101000000Z",
  },
  early: { extensions: SAN, validity: "-startdate 20980101000000Z -enddate 20990101000000Z" },
  weak: { extensions: SAN, key: "rsa:1024" },
  intermediate: {
    extensions: "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n",
    subject: "/CN=Intermediate-CA",
  },
  leaf: { extensions: SAN, signer: "intermediate" },
  sha1: { extensions: SAN, signer: "rsa", key: "rsa:2048", digest: "-sha1" },
};

const AUTHORITY = `[ca]
default_ca = test
[test]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = any
[any]
commonName = supplied
`;

async function makeAll(dir: string, names = Object.keys(WANTED)): Promise<void> {
  const own = "req -x509 -nodes -days 2";
  const elliptic = "-newkey ec -pkeyopt ec_paramgen_curve:P-256";
  await openssl(dir, `${own} ${elliptic} -keyout ca.key -out ca.pem -subj /CN=Test-CA`);
  for (const name of names) {
    const { extensions, subject = "/CN=api", signer = "ca", validity } = WANTED[name]!;
    const { key, digest = "" } = WANTED[name]!;
    if (signer === "rsa") {
      await openssl(dir, `${own} -newkey rsa:2048 -keyout rsa.key -out rsa.pem -subj /CN=RSA`);
    }
    await Deno.writeTextFile(`${dir}/${name}.ext`, extensions);
    const newKey = key === undefined ? elliptic : `-newkey ${key}`;
    await openssl(
      dir,
      `req -nodes ${newKey} -keyout ${name}.key -out ${name}.csr -subj ${subject}`,
    );
    if (validity !== undefined) {
      await Deno.writeTextFile(`${dir}/ca.cnf`, `${AUTHORITY}[host]\n${extensions}`);
      await Deno.writeTextFile(`${dir}/index`, "");
      await Deno.writeTextFile(`${dir}/serial`, "1000");
      await openssl(
        dir,
        "ca -batch -notext -config ca.cnf -extensions host -cert ca.pem -keyfile ca.key " +
          `-in ${name}.csr -out ${name}.pem ${validity}`,
      );
    } else {await openssl(
        dir,
        `x509 -req ${digest} -in ${name}.csr -CA ${signer}.pem -CAkey ${signer}.key ` +
          `-CAcreateserial -out ${name}.pem -extfile ${name}.ext -days 2`,
      );}
  }
  if (names.length === 1) return;
  const san = "-subj /CN=api.example -addext subjectAltName=IP:127.0.0.1,DNS:api.example";
  await openssl(dir, `${own} ${elliptic} -keyout selfca.key -out selfca.pem ${san}`);
  const leaf = `${san} -addext basicConstraints=critical,CA:FALSE`;
  await openssl(dir, `${own} ${elliptic} -keyout self.key -out self.pem ${leaf}`);
}

async function openssl(cwd: string, command: string): Promise<void> {
  const args = command.split(" ").filter((word) => word !== "");
  const { success, stderr } = await new Deno.Command("openssl", { args, cwd }).output();
  if (!success) throw new Error(`openssl ${command}: ${new TextDecoder().decode(stderr)}`);
}
