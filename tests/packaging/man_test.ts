import { assertEquals, assertStringIncludes } from "@std/assert";
import { manPage } from "../../packaging/man.ts";
import { finish } from "../cli/captured.ts";

Deno.test("man: every command in the help has a section", async () => {
  const page = await manPage();
  const { stdout } = await finish(["--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z][a-z-]+) /gm)].map(([, name]) => name!);
  assertEquals(commands.length > 20, true);
  for (const name of commands.filter((name) => name !== "help")) {
    assertStringIncludes(page, `.SS \\fBbellhook ${name.replaceAll("-", "\\-")}\\fR`);
  }
});

Deno.test({
  name: "man: it reads the page without a warning",
  ignore: !await hasMan(),
  async fn() {
    const path = await Deno.makeTempFile({ suffix: ".1" });
    await Deno.writeTextFile(path, await manPage());
    const { code, stdout, stderr } = await new Deno.Command("man", {
      args: ["--warnings=w", "-E", "UTF-8", "-l", path],
      env: { MANWIDTH: "100", PAGER: "cat", MANPAGER: "cat" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals([code, text(stderr)], [0, ""]);
    assertStringIncludes(text(stdout), "bellhook deliveries [id]");
    await Deno.remove(path);
  },
});

async function hasMan(): Promise<boolean> {
  try {
    const { code, stdout } = await new Deno.Command("man", { args: ["--version"] }).output();
    return code === 0 && new TextDecoder().decode(stdout).startsWith("man 2");
  } catch {
    return false;
  }
}
