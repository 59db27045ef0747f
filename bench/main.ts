import { compare, MEASURES } from "./compare.ts";
import { dashboard } from "./dashboard/dashboard.ts";
import { profile } from "./profile.ts";
import { growth } from "./growth/growth.ts";
import { FULL, QUICK, SHORT } from "./measures/measure.ts";
import { neighbours } from "./neighbours/neighbours.ts";
import { reload } from "./reload/reload.ts";
import { soak } from "./soak.ts";
import { bellhook } from "./systems/bellhook.ts";
import { bullmq, bullmqEverysec } from "./systems/bullmq.ts";
import { pgboss } from "./systems/pgboss.ts";
import type { System } from "./systems/system.ts";
import { parseArgs } from "node:util";

const USAGE =
  `usage: deno task bench [--quick | --short] [--against bullmq,pgboss] [--only MEASURE,…]
       deno task bench growth [--quick]
       deno task bench dashboard [--quick]
       deno task bench neighbours
       deno task bench reload [--quick]
       deno task bench soak [--minutes 60]
       deno task bench profile [--quick] [--only ingest,steady,drain]

  --quick       a minute: small sizes, one round
  --short       smaller sizes and five rounds, for a comparison that need not take an hour
  --rounds N    how often each measure is run; 3
  --minutes N   after so many no further measure is begun; how long a soak takes: 60
  --markdown    prints the table as Markdown as well; it is in results/latest.md in any case
  --against     beside Bellhook: bullmq (Redis with appendfsync always, and everysec), pgboss
  --only        ${MEASURES.map(({ name }) => name).join(", ")}
  --folder DIR  where databases are put for the time of the run, to choose the disk; the system's
                folder for temporary files`;

const PEERS: Readonly<Record<string, readonly System[]>> = {
  bullmq: [bullmq, bullmqEverysec],
  pgboss: [pgboss],
};

/** The default measures of a profile. */
const PROFILED = "ingest,steady,drain";

Deno.exit(await main());

async function main(): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse();
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  const { values, positionals: [command = "compare"] } = parsed;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const { folder } = values;
  switch (command) {
    case "compare": {
      const size = values.quick ? QUICK : values.short ? SHORT : FULL;
      const met = await compare({
        systems: [
          bellhook,
          ...named(values.against, "--against", PEERS).flat(),
        ],
        measures: values.only
          ? named(
            values.only,
            "--only",
            Object.fromEntries(MEASURES.map((m) => [m.name, m])),
          )
          : MEASURES,
        size: { ...size, rounds: Number(values.rounds ?? size.rounds) },
        folder,
        minutes: Number(values.minutes ?? Infinity),
        markdown: values.markdown,
      });
      return met ? 0 : 1;
    }
    case "profile":
      return await profile({
          measures: MEASURES.filter(({ name }) =>
            (values.only ?? PROFILED).split(",").includes(name)
          ),
          size: values.quick ? QUICK : FULL,
          folder,
        })
        ? 0
        : 1;
    case "growth":
      return await growth({ isQuick: values.quick, folder }) ? 0 : 1;
    case "dashboard":
      return await dashboard({ isQuick: values.quick, folder }) ? 0 : 1;
    case "neighbours":
      return await neighbours({ folder }) ? 0 : 1;
    case "reload":
      return await reload({ isQuick: values.quick, folder }) ? 0 : 1;
    case "soak":
      return await soak({ minutes: Number(values.minutes ?? 60), folder }) ? 0 : 1;
    default:
      console.error(`there is no bench "${command}"\n\n${USAGE}`);
      return 2;
  }
}

function parse() {
  return parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      rounds: { type: "string" },
      against: { type: "string", default: "" },
      only: { type: "string" },
      minutes: { type: "string" },
      short: { type: "boolean", default: false },
      markdown: { type: "boolean", default: false },
      folder: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
}

/** The values for comma-separated names. Ends the process if one is unknown. */
function named<Value>(
  list: string,
  option: string,
  known: Readonly<Record<string, Value>>,
): Value[] {
  return list.split(",").filter(Boolean).map((name) => {
    const value = known[name];
    if (value !== undefined) return value;
    console.error(
      `${option} knows no "${name}"; it knows ${Object.keys(known).join(", ")}`,
    );
    Deno.exit(2);
  });
}
