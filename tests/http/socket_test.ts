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

Deno.test("socket: has its mode whatever the umask is, and leaves the umask unchanged", async () => {
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

Deno.test("socket: never has more rights than its owner's, not even for a moment", async () => {
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

Deno.test("socket: belongs to the group, by name or number", async () => {
  const groups = (await Deno.readTextFile("/etc/group")).split("\n").map((line) => line.split(":"));
  // Only root may give a file to any group.
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

Deno.test("socket: reports an unknown group, and leaves nothing behind", async () => {
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

Deno.test("socket: reports an error if the user isn't in the group, and leaves no socket", async () => {
  await inFolder(async (path) => {
    const chown = Deno.chownSync;
    try {
      // The system's error for users other than root; the tests may run as root.
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
