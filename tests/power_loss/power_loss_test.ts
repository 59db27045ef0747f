import { assert, assertEquals } from "@std/assert";
import { canBuildLibraries, WITHOUT_COMPILER } from "../support/shared_library.ts";
import { failPower } from "./power_failures.ts";
import { MOVES_THE_JOURNAL, record } from "./recording.ts";

Deno.test({
  name: "power loss: every image of the disk is whole and holds what was answered 202" +
    WITHOUT_COMPILER,
  ignore: !canBuildLibraries,
  async fn(test) {
    const steps = await record({ seed: 1, requests: 240 });

    await test.step("200 images, and a real daemon on two of them", async () => {
      const failures = await failPower(steps, { images: 200, seed: 1, serveEvery: 100 });
      assertEquals(failures.faults, []);
      assertEquals(failures.served, 2);
      assert(failures.withEvents > 150, `only ${failures.withEvents} images had to hold anything`);
    });

    await test.step("40 images of a disk whose journal is moved into the database", async () => {
      const moving = await record({ seed: 2, requests: 240, filler: MOVES_THE_JOURNAL });
      const failures = await failPower(moving, { images: 40, seed: 2 });
      assertEquals(failures.faults, []);
    });

    await test.step("a disk that lies about fsync is found out", async () => {
      const { faults } = await failPower(steps, { images: 10, seed: 1, liesAboutSyncs: true });
      assert(faults.length > 0);
    });
  },
});
