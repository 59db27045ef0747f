// deno-lint-ignore-file jsx-key
import type { Context } from "hono";
import type { Config } from "../../config/config.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Registry } from "../../ingest/registry.ts";
import { ProblemError } from "../problem.ts";
import { renderPage } from "./frame.tsx";
import { addressOf, EXAMPLE_MADE, type Guide, guideFor, type Verification } from "./guide/guide.ts";
import { guideMarkdown } from "./guide/markdown.ts";
import { Cell, Code, CopyButton, Empty, Row, Table } from "./parts.tsx";
import { receiverPath, RECEIVERS, subscriptionPath } from "./paths.ts";
import type { DashboardEnv } from "./viewer.ts";
import { visible } from "./words.ts";

export interface ReceiversPagePorts {
  readonly registry: Registry;
  readonly config: () => Config;
}

/** So many are listed; ids lead to all of them. */
const LISTED = 500;

/** The pages that are handed to the people behind the receivers. */
export function receiversPage({ registry }: ReceiversPagePorts, context: Context<DashboardEnv>) {
  const viewer = context.get("viewer");
  const subscriptions = [...registry.all].sort((a, b) => a.id < b.id ? -1 : 1);
  return renderPage({
    title: "Receivers",
    section: RECEIVERS,
    viewer,
    children: (
      <>
        <h1>Receivers</h1>
        <p>
          A page for each subscription, to hand to the people on the other side: what they get, how
          to verify it, what to answer. No secret is on it.
        </p>
        {subscriptions.length === 0
          ? <Empty command="bellhook init">The config has no subscriptions yet.</Empty>
          : (
            <Table
              label="Receivers"
              columns={["Subscription", "Format", "Address", "To send along"]}
            >
              {subscriptions.slice(0, LISTED).map(({ id, profile, url }) => (
                <Row href={receiverPath(id)}>
                  <Cell label="Subscription" kind="title">
                    <a href={receiverPath(id)}>{visible(id)}</a>
                  </Cell>
                  <Cell label="Format">{profile.name}</Cell>
                  <Cell label="Address">{visible(addressOf(url))}</Cell>
                  <Cell label="To send along">
                    <a href={receiverPath(id, "guide.md")} aria-label={`Markdown for ${id}`}>
                      Markdown
                    </a>
                  </Cell>
                </Row>
              ))}
            </Table>
          )}
      </>
    ),
  });
}

/** What one receiver's people need to know. */
export function receiverPage(ports: ReceiversPagePorts, context: Context<DashboardEnv>) {
  const subscription = subscriptionOf(ports, context);
  const { id } = subscription;
  const guide = guideFor(subscription, ports.config());
  return renderPage({
    title: `Webhooks for ${id}`,
    section: RECEIVERS,
    viewer: context.get("viewer"),
    children: (
      <div class="guide">
        <p class="crumbs">
          <a href={RECEIVERS}>Receivers</a>
        </p>
        <h1>Webhooks for {visible(id)}</h1>
        <div class="actions">
          <a href={receiverPath(id, "guide.md")}>As Markdown</a>
          <a href={subscriptionPath(id)}>The subscription</a>
        </div>
        <p>
          Events are sent by HTTP POST to <code>{visible(guide.url)}</code>, in the format of{" "}
          {guide.format}.
        </p>
        <h2>Headers</h2>
        <Headers guide={guide} />
        <h2>Events</h2>
        <Events guide={guide} />
        <h2>How to verify a request</h2>
        <Verifying verification={guide.verification} />
        <h2>What to answer</h2>
        <Sentences sentences={guide.answering} />
        <h2>What happens if you don't</h2>
        <Sentences sentences={guide.failing} />
        <h2>What comes twice</h2>
        <Sentences sentences={guide.repeating} />
      </div>
    ),
  });
}

/** The same as a file to send along. */
export function receiverMarkdown(
  ports: ReceiversPagePorts,
  context: Context<DashboardEnv>,
): Response {
  const guide = guideFor(subscriptionOf(ports, context), ports.config());
  context.header("content-type", "text/markdown; charset=utf-8");
  return context.body(guideMarkdown(guide));
}

function subscriptionOf(
  { registry }: ReceiversPagePorts,
  context: Context<DashboardEnv>,
): Subscription {
  const id = context.req.param("id") ?? "";
  const subscription = registry.find(id);
  if (subscription) return subscription;
  throw new ProblemError({
    status: 404,
    title: "No such subscription",
    detail: `the config has no subscription "${id}"`,
  });
}

function Headers({ guide }: { guide: Guide }) {
  return (
    <Table label="Headers" columns={["Header", "For example", "What it is"]}>
      {guide.headers.map(({ name, value, meaning }) => (
        <Row>
          <Cell label="Header" kind="title">
            <code>{name}</code>
          </Cell>
          <Cell label="For example">
            <code>{visible(value)}</code>
          </Cell>
          <Cell label="What it is">{meaning}</Cell>
        </Row>
      ))}
    </Table>
  );
}

function Events({ guide }: { guide: Guide }) {
  if (guide.events.length === 0) return <p>Which events there are is agreed upon with you.</p>;
  return (
    <>
      {guide.events.map(({ name, description, body }, index) => (
        <details class="entry" data-key={`event-${name}`} open={index === 0}>
          <summary>
            <code>{visible(name)}</code> {visible(description ?? "")}
          </summary>
          {body === undefined
            ? <p class="muted">There is no example of it.</p>
            : <Code text={body} label={`Body of ${name}`} />}
        </details>
      ))}
    </>
  );
}

function Verifying({ verification }: { verification: Verification }) {
  const { sentences, samples, example } = verification;
  return (
    <>
      <Sentences sentences={sentences} />
      {samples.map(({ language, code }, index) => (
        <details class="entry" data-key={`sample-${language}`} open={index === 0}>
          <summary>{language}</summary>
          <CopyButton from={`sample-${index}`} what="Copy" />
          <Code id={`sample-${index}`} text={code} label={`The check in ${language}`} />
        </details>
      ))}
      {example && (
        <details class="entry" data-key="example">
          <summary>A request to try it on</summary>
          <p>
            Made at {EXAMPLE_MADE}, with the secret{" "}
            <code>{example.secret}</code>, which is good for nothing else.
          </p>
          <Code
            label="An example request"
            text={`${
              example.headers.map(([name, value]) => `${name}: ${value}`).join("\n")
            }\n\n${example.body}`}
          />
        </details>
      )}
    </>
  );
}

function Sentences({ sentences }: { sentences: readonly string[] }) {
  return (
    <ul>
      {sentences.map((sentence) => <li>{visible(sentence)}</li>)}
    </ul>
  );
}
