import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { listenOn, StartError } from "../../src/listening.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";

/** Who may connect to a Unix socket. */

async function inFolder(story: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await story(join(folder, "b.sock"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function withSocket(path: string, more: { socketMode?: number; socketGroup?: string } = {}) {
  return aConfig({ server: { ...aConfig().server, listen: { kind: "unix", path }, ...more } });
}

Deno.test("socket: it has its mode whatever the umask is, which stays as it was", async () => {
  for (const umask of [0o000, 0o022, 0o077]) {
    for (const mode of [0o660, 0o600, 0o666]) {
      await inFolder(async (path) => {
        const before = Deno.umask(umask);
        try {
          await using _daemon = await aDaemon(withSocket(path, { socketMode: mode }));
          assertEquals((await Deno.stat(path)).mode! & 0o7777, mode);
          assertEquals(Deno.umask(), umask);
        } finally {
          Deno.umask(before);
        }
      });
    }
  }
});

Deno.test("socket: there is no moment in which it has more rights than its owner's", async () => {
  await inFolder(async (path) => {
    const modes: number[] = [];
    const chmod = Deno.chmodSync, chown = Deno.chownSync;
    const before = Deno.umask(0);
    try {
      Deno.chownSync = (...args) => {
        modes.push(Deno.statSync(path).mode! & 0o777);
        chown(...args);
      };
      Deno.chmodSync = (...args) => {
        modes.push(Deno.statSync(path).mode! & 0o777);
        chmod(...args);
      };
      const listening = await listenOn({ kind: "unix", path }, {
        mode: 0o666,
        group: `${Deno.gid()}`,
      });
      listening.listener.close();
      await listening.remove();
    } finally {
      Object.assign(Deno, { chmodSync: chmod, chownSync: chown });
      Deno.umask(before);
    }
    assertEquals(modes, [0o600, 0o600]);
  });
});

Deno.test("socket: it belongs to the group, by name or number", async () => {
  const groups = (await Deno.readTextFile("/etc/group")).split("\n").map((line) => line.split(":"));
  // Only root may give a file to any group there is.
  const mine = Deno.uid() === 0
    ? groups.find(([name]) => name === "www-data") ?? groups[1]!
    : undefined;
  const own = mine ?? groups.find(([, , number]) => number === `${Deno.gid()}`)!;
  const [name, , number] = own;
  for (const socketGroup of [name!, number!]) {
    await inFolder(async (path) => {
      await using _daemon = await aDaemon(withSocket(path, { socketGroup }));
      const { gid, mode } = await Deno.stat(path);
      assertEquals([gid, mode! & 0o777], [Number(number), 0o660]);
    });
  }
});

Deno.test("socket: a group that is not there is told of, and nothing is left behind", async () => {
  await inFolder(async (path) => {
    const error = await assertRejects(
      () => aDaemon(withSocket(path, { socketGroup: "no-such-group" })),
      StartError,
    );
    assertStringIncludes(error.message, 'this machine has no group "no-such-group"');
    assertStringIncludes(error.message, "server.socketGroup");
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  });
});

Deno.test("socket: a user who is not a member of the group gets an error, and leaves no socket", async () => {
  await inFolder(async (path) => {
    const chown = Deno.chownSync;
    try {
      // What the system says to whoever is not root; the tests may be run by root.
      Deno.chownSync = () => {
        throw new Deno.errors.PermissionDenied("Operation not permitted (os error 1)");
      };
      const error = await assertRejects(
        () => aDaemon(withSocket(path, { socketGroup: "0" })),
        StartError,
      );
      assertStringIncludes(error.message, 'not a member of the group "0"');
      assertStringIncludes(error.message, "Group=0");
    } finally {
      Deno.chownSync = chown;
    }
    await assertRejects(() => Deno.stat(path), Deno.errors.NotFound);
  });
});
