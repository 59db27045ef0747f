// deno-lint-ignore-file jsx-key
import type { Context } from "hono";
import type { Config } from "../../config/config.ts";
import { commandAbout } from "../../domain/curl.ts";
import { formatDuration, formatSize } from "../../domain/duration.ts";
import { channelText, type NoticeChannel } from "../../domain/notice.ts";
import type { Reload, ReloadReport } from "../reload.ts";
import { renderPage } from "./frame.tsx";
import { ActionButton, Code, Notice, Settings } from "./parts.tsx";
import { CONFIG, SUBSCRIPTIONS } from "./paths.ts";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { BUILT_IN } from "../../profiles/table.ts";
import { count, visible } from "./words.ts";

export interface ConfigPagePorts {
  readonly config: () => Config;
  readonly reload: Reload;
  readonly channels: () => ReadonlyMap<string, NoticeChannel>;
}

/** What is in force, what a reload would change, and what is wrong with the file. */
export async function configPage(
  { config, reload, channels }: ConfigPagePorts,
  context: Context<DashboardEnv>,
) {
  const viewer = context.get("viewer");
  const report = await reload({ dryRun: true, by: viewer.name });
  const inForce = config();
  return renderPage({
    title: "Config",
    section: CONFIG,
    viewer,
    children: (
      <>
        <h1>Config</h1>
        <Notice text={DONE[context.req.query("done") ?? ""]} />
        <h2>What a reload would do</h2>
        <Report report={report} viewer={viewer} />
        <h2>In force</h2>
        <InForce config={inForce} channels={channels()} />
      </>
    ),
  });
}

const DONE: Readonly<Record<string, string>> = {
  reloaded: "The config was reloaded; the overview tells what changed.",
};

function Report({ report, viewer }: { report: ReloadReport; viewer: Viewer }) {
  if (report.kind === "rejected") {
    return (
      <>
        <p class="notice is-bad">
          The file has problems; a reload would change nothing. What is in force stays so.
        </p>
        <ul class="wrongs">
          {report.problems.map(({ path, message }) => (
            <li>
              <strong>{path === "" ? "the file" : visible(path)}</strong>
              <p>{visible(message)}</p>
            </li>
          ))}
        </ul>
      </>
    );
  }
  return (
    <>
      {report.changes.length === 0
        ? <p>Nothing: the file says what is in force.</p>
        : <Code text={report.changes.join("\n")} label="Changes" />}
      {report.needsRestart.length > 0 && (
        <p class="notice">
          Only a restart puts these in force: {report.needsRestart.map(visible).join(", ")}
        </p>
      )}
      {report.warnings.length > 0 && (
        <>
          <h3>Warnings</h3>
          <Code text={report.warnings.join("\n")} label="Warnings" />
        </>
      )}
      <ActionButton
        viewer={viewer}
        action={`${CONFIG}/reload`}
        label={report.changes.length === 0 ? "Reload anyway" : "Reload now"}
        kind={report.changes.length === 0 ? "quiet" : ""}
        back={CONFIG}
      />
    </>
  );
}

function InForce({ config, channels }: { config: Config; channels: Channels }) {
  const { server, storage, auth, eventTypes, profiles, subscriptions } = config;
  const used = new Set(subscriptions.map(({ profile }) => profile.name));
  return (
    <Settings
      settings={[
        ["File", <code>{config.path}</code>],
        [
          "Subscriptions",
          <a href={SUBSCRIPTIONS}>{count(subscriptions.length)}</a>,
        ],
        ["Listens on", <code>{listenText(server.listen)}</code>],
        ["Largest body", formatSize(server.maxBodyBytes)],
        ["Grace at the end", formatDuration(server.shutdownGraceMs)],
        ["Database", <code>{storage.path}</code>],
        ["Keeps delivered", formatDuration(storage.keepDeliveredMs)],
        ["Keeps exhausted", formatDuration(storage.keepExhaustedMs)],
        ["Attempts at once", count(config.totalConcurrency)],
        ["Publishers", auth ? names(auth.publishers) : "anybody on this machine"],
        ["Operators", auth ? names(auth.operators) : "anybody on this machine"],
        ["Notices", <Channels channels={channels} />],
        ["Event types", eventTypes ? count(eventTypes.size) : "any"],
        ["Profiles in use", [...used].sort().join(", ") || "none"],
        [
          "Profiles of its own",
          [...profiles.values()].filter(({ name }) => !BUILT_IN.has(name)).map(({ name }) => name)
            .join(", ") || "none",
        ],
      ]}
    />
  );
}

function names(people: readonly { readonly name: string }[]): string {
  return people.map(({ name }) => visible(name)).join(", ") || "none";
}

function listenText(listen: Config["server"]["listen"]): string {
  if (listen.kind === "unix") return `unix:${listen.path}`;
  return `${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${listen.port}`;
}

type Channels = ReadonlyMap<string, NoticeChannel>;

function Channels({ channels }: { channels: Channels }) {
  if (channels.size === 0) return <>nobody is told</>;
  return (
    <>
      {Array.from(channels, ([id, channel]) => (
        <li>
          {visible(channelText(channel))} ({channel.on.join(", ")}); try it:{" "}
          <code>{visible(commandAbout("test", id))}</code>
        </li>
      ))}
    </>
  );
}
