import type { Command } from "commander";
import type { MatchAnswer } from "./answers.ts";
import { ApiClient } from "./api_client.ts";
import { addEventOptions, type EventOptions, postedText } from "./event_options.ts";
import { EXIT } from "./exit_code.ts";
import type { Shell } from "./shell.ts";
import { type Column, printTable } from "./table.ts";

interface MatchOptions extends EventOptions {
  readonly onlyMatching?: boolean;
}

/** `bellhook match`: who would get an event, and why the others would not. */
export function addMatch(program: Command, shell: Shell): void {
  const command = program.command("match")
    .description("say which subscriptions would get an event, and why the others would not");
  addEventOptions(command, { file: "a file with a whole event, or -" })
    .option("--only-matching", "leave out those that would not get it")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<MatchOptions>(async (options) => {
      const event = await postedText(command.args, options, () => shell.terminal.stdin());
      using client = await ApiClient.for(options, shell.terminal);
      const { answer } = await client.post<MatchAnswer>("/v1/match", event);
      const rows: Row[] = [
        ...answer.matches.map((one) => ({ matches: true as const, ...one })),
        ...(options.onlyMatching
          ? []
          : answer.others.map((one) => ({ matches: false as const, ...one }))),
      ];
      if (options.json) { for (const row of rows) shell.print(JSON.stringify(row)); }
      else printTable(rows, COLUMNS, shell.terminal);
      if (answer.matches.length === 0) shell.say("no subscription gets it");
      return EXIT.done;
    }));
}

type Row =
  | { readonly matches: true } & MatchAnswer["matches"][number]
  | { readonly matches: false } & MatchAnswer["others"][number];

const COLUMNS: readonly Column<Row>[] = [
  { heading: "SUBSCRIPTION", cell: ({ subscription }) => subscription, shrinksTo: 16 },
  {
    heading: "GETS IT",
    cell: ({ matches }) =>
      matches ? { text: "yes", colour: "green" } : { text: "no", colour: "dim" },
  },
  { heading: "RULE", cell: (row) => row.matches ? "" : row.rule },
  { heading: "WHY", cell: whyOf, shrinksTo: 24, wraps: true },
];

function whyOf(row: Row): string {
  if (!row.matches) return row.why;
  const held = row.held ? "; held while it is paused or disabled" : "";
  return `all rules let it through, as ${row.type}${held}`;
}

const EXAMPLES = `
Examples:
  $ bellhook match booking.created
  $ bellhook match booking.created --scope venue_id=v1 --data '{"total": 120}'
  $ bellhook match --file event.json --only-matching
`;
