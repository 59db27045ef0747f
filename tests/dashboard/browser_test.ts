import { assert } from "@std/assert";
import { CHROMIUM } from "../support/chromium.ts";

/**
 * What drives the browser asks the system for more than tests are allowed to: the stories run in a
 * process of their own, which may do anything.
 */
Deno.test({
  name: "browser: the dashboard's stories in a real Chromium" +
    (CHROMIUM ? "" : " (left out: the machine has none)"),
  ignore: !CHROMIUM,
  async fn() {
    const stories = new URL("./browser_stories.ts", import.meta.url).pathname;
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--quiet", "--no-check", "--allow-all", stories],
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n"));
  },
});
