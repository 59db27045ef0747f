import { assertEquals } from "@std/assert";
import { problemsOf, withText } from "./a_reading.ts";

Deno.test("url: a text that is none is refused", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "example.com/hooks"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      "  the text is no URL",
      '  fix: write it as "https://host/path"',
    ].join("\n"),
  );
});

Deno.test("url: white space in it is refused, not taken away", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "https://example.com/ hooks"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      "  the text is no URL",
      '  fix: write it as "https://host/path"',
    ].join("\n"),
  );
});

Deno.test("url: a host that is not where it belongs is refused, not put there", async () => {
  const repaired = ["https:///example.com", "https:example.com", "https:/example.com/hooks"];
  for (const url of [...repaired, "https:\\\\\\\\example.com", "https://?example.com"]) {
    assertEquals(
      await problemsOf(withText(`"url": "${url}"`, "url")),
      [
        "config.json:6:12  subscriptions[0].url",
        "  the text is no URL",
        '  fix: write it as "https://host/path"',
      ].join("\n"),
    );
  }
  assertEquals(await problemsOf(withText(`"url": "HTTPS://example.com?to=hooks"`, "url")), "");
});

Deno.test("url: a password in it is refused unquoted", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "https://user:hunter2@example.com/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      "  the URL holds a user name or a password",
      '  fix: take it out; a header\'s value may be a reference to a secret: "headers"',
    ].join("\n"),
  );
});

Deno.test("url: another protocol is refused", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "ftp://example.com/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      '  the URL begins with "ftp:"',
      '  fix: write it as "https://…"',
    ].join("\n"),
  );
});

Deno.test("url: http is refused unless it is allowed", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "http://example.com/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      "  the URL is http",
      '  fix: write https, or set "allowHttp": true',
    ].join("\n"),
  );
});

Deno.test("url: a private address is refused unless it is allowed", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "https://10.1.2.3/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      '  the URL\'s address "10.1.2.3" is not public',
      '  fix: if that is meant, set "allowNetworks": ["10.1.2.3/32"]',
    ].join("\n"),
  );
});

Deno.test("url: an address in disguise is refused by its usual name", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "https://0x7f.1/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      '  the URL\'s address "127.0.0.1" is not public',
      '  fix: if that is meant, set "allowNetworks": ["127.0.0.1/32"]',
    ].join("\n"),
  );
});

Deno.test("url: an IPv6 loopback is refused", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "https://[::1]:8443/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      '  the URL\'s address "::1" is not public',
      '  fix: if that is meant, set "allowNetworks": ["::1/128"]',
    ].join("\n"),
  );
});

Deno.test("url: localhost is refused unless it is allowed", async () => {
  assertEquals(
    await problemsOf(withText(`"url": "https://api.localhost/"`, "url")),
    [
      "config.json:6:12  subscriptions[0].url",
      '  the URL\'s host "api.localhost" is this machine',
      '  fix: if that is meant, set "allowNetworks": ["127.0.0.1/32"]',
    ].join("\n"),
  );
});

Deno.test("url: a notice goes where the delivery block allows", async () => {
  assertEquals(
    await problemsOf({
      notify: [{ webhook: { url: "http://10.1.2.3/", secret: { env: "WHSEC" } } }],
    }),
    [
      "config.json:5:16  notify[0].webhook.url",
      "  the URL is http",
      '  fix: write https, or set "allowHttp": true in "delivery"',
    ].join("\n"),
  );
});

Deno.test("url: a mail server's holds no password", async () => {
  assertEquals(
    await problemsOf({
      notify: [{
        email: {
          smtp: "smtp://ops:hunter2@mail.example.com",
          from: "a@example.com",
          to: ["b@example.com"],
        },
      }],
    }),
    [
      "config.json:5:17  notify[0].email.smtp",
      "  a secret is written into the file",
      '  fix: take it out of the URL and write "password": {"env": "NAME"}',
    ].join("\n"),
  );
});

Deno.test("url: a mail server's is smtp or smtps", async () => {
  assertEquals(
    await problemsOf({
      notify: [{
        email: { smtp: "mail.example.com:25", from: "a@example.com", to: ["b@example.com"] },
      }],
    }),
    [
      "config.json:5:17  notify[0].email.smtp",
      "  the text is no address of a mail server",
      '  fix: write it as "smtp://user@host:587" or "smtps://user@host:465"',
    ].join("\n"),
  );
});

Deno.test("url: a mail password belongs to a user", async () => {
  assertEquals(
    await problemsOf({
      notify: [{
        email: {
          smtp: "smtp://mail.example.com",
          password: { env: "TEXT" },
          from: "a@example.com",
          to: ["b@example.com"],
        },
      }],
    }),
    [
      "config.json:5:17  notify[0].email.smtp",
      "  there is a password, but the URL names no user",
      '  fix: write "smtp://user@host:587"',
    ].join("\n"),
  );
});
