import type { Child } from "hono/jsx";
import type { Condition } from "../../domain/health.ts";
import { formatInstant, type Instant } from "../../domain/instant.ts";
import type { RememberedEntry } from "../../outbox/reader.ts";
import { Hidden } from "./hidden.tsx";
import { deliveryPath, subscriptionPath } from "./paths.ts";
import { prettyJson } from "./pretty_json.ts";
import type { Viewer } from "./viewer.ts";
import { bytes, relative, type ShownState, visible } from "./words.ts";

/** The pieces that pages are put together from. */

/** An instant, told from now; our script keeps it so. */
export function When({ at, now }: { at: Instant; now: Instant }) {
  const text = formatInstant(at);
  return <time datetime={text} title={text}>{relative(at, now)}</time>;
}

const MARKS: Readonly<Record<ShownState | Condition | "removed", string>> = {
  delivered: "✓",
  healthy: "✓",
  exhausted: "✕",
  failing: "✕",
  "not answering": "✕",
  cancelled: "–",
  held: "‖",
  paused: "‖",
  disabled: "–",
  removed: "–",
  retrying: "↻",
  pending: "…",
};

/** A state in a word, a mark and a colour. */
export function State({ state }: { state: ShownState | Condition | "removed" }) {
  return (
    <span class={`state is-${state.replace(" ", "-")}`}>
      <span aria-hidden="true">{MARKS[state]}</span> {state}
    </span>
  );
}

/** A table that becomes a list of cards where there is no room. */
export function Table(
  { label, columns, id, kind, children }: {
    label: string;
    columns: readonly Child[];
    id?: string;
    /** `dense`: a line each, whatever is in it. */
    kind?: "dense";
    children: Child;
  },
) {
  // The roles are said, for a table that is laid out as blocks loses them.
  return (
    <table role="table" aria-label={label} id={id} class={kind}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(columnHeader)}
        </tr>
      </thead>
      <tbody role="rowgroup">{children}</tbody>
    </table>
  );
}

function columnHeader(title: Child) {
  return <th scope="col" role="columnheader">{title}</th>;
}

/** A row; with a `href`, the keys open it. */
export function Row({ href, id, children }: { href?: string; id?: string; children: Child }) {
  return (
    <tr role="row" tabindex={href === undefined ? undefined : -1} data-href={href} data-id={id}>
      {children}
    </tr>
  );
}

export function Cell(
  { label, kind, children }: { label: string; kind?: string; children: Child },
) {
  return (
    <td role="cell" data-label={label} class={kind}>
      <div>{children}</div>
    </td>
  );
}

/** Facts by name. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: Child])[] }) {
  const known = facts.filter(([, value]) => value !== undefined && value !== null);
  return (
    <dl class="facts">
      {known.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Settings by name, one below the other. */
export function Settings(
  { settings }: { settings: readonly (readonly [name: string, value: Child])[] },
) {
  return (
    <dl class="settings">
      {settings.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A text that may be long, to be read and copied. */
export function Code(
  { text, label, id, wraps = false }: {
    text: string;
    label: string;
    id?: string;
    wraps?: boolean;
  },
) {
  // It scrolls: whoever has no mouse needs to get into it.
  return (
    <pre
      id={id}
      class={wraps ? "wraps" : undefined}
      tabindex={0}
      role="region"
      aria-label={label}
    ><code>{visible(text)}</code></pre>
  );
}

export function CopyButton({ from, what }: { from: string; what: string }) {
  return (
    <button type="button" class="quiet needs-script" data-copies={from} hidden>
      {what}
    </button>
  );
}

/** Copies an id, all of it, also where it is shown without its middle. */
export function CopyId({ id }: { id: string }) {
  return (
    <button
      type="button"
      class="quiet copies-id needs-script"
      data-copies-text={id}
      aria-label={`Copy ${visible(id)}`}
      title="Copy"
      hidden
    >
      ⧉
    </button>
  );
}

/** A body: its size, pretty and as it went over the wire. */
export function Payload(
  { text, size, label, id, viewer, truncated = false }: {
    text: string;
    size: number;
    label: string;
    id: string;
    viewer: Viewer;
    truncated?: boolean;
  },
) {
  if (size === 0) return <p class="muted">An empty body.</p>;
  const said = `${bytes(size)}${truncated ? " kept; there was more, which is not on record" : ""}`;
  if (viewer.hidesPayloads) {
    return <p class="muted">{said}. Payloads are hidden; “Show payloads” is at the top.</p>;
  }
  const pretty = prettyJson(text);
  return (
    <div class="payload">
      <p class="muted">{said}</p>
      {pretty === undefined ? <Code id={id} text={text} label={label} wraps /> : (
        <>
          <Code id={id} text={pretty} label={label} />
          {pretty !== text && (
            <details data-key={`${id}-raw`}>
              <summary>Raw, byte for byte</summary>
              <Code text={text} label={`${label}, raw`} wraps />
            </details>
          )}
        </>
      )}
    </div>
  );
}

/** A button that does something: a form of its own. */
export function ActionButton(
  { viewer, action, label, kind, asks, children, back }: {
    viewer: Viewer;
    action: string;
    label: string;
    kind?: string;
    /** What our script asks before. */
    asks?: string;
    children?: Child;
    back?: string;
  },
) {
  return (
    <form method="post" action={action} class="action" data-asks={asks}>
      {back === undefined ? <Hidden viewer={viewer} /> : <Hidden viewer={viewer} back={back} />}
      {children}
      <button type="submit" class={kind}>{label}</button>
    </form>
  );
}

/** What there is to do where there is nothing to see. */
export function Empty({ children, command }: { children: Child; command?: string }) {
  return (
    <div class="empty">
      <p>{children}</p>
      {command !== undefined && (
        <p>
          <code>{command}</code>
        </p>
      )}
    </div>
  );
}

/** Who did what, newest first. */
export function History(
  { entries, viewer, of }: {
    entries: readonly RememberedEntry[];
    viewer: Viewer;
    /** What the page is about already, and need not be named. */
    of?: "subscription" | "delivery";
  },
) {
  return (
    <ol class="history">
      {entries.map(({ at, kind, cause, by, address, subscription, delivery }) => (
        <li>
          <When at={at} now={viewer.now} />
          <div>
            <strong>{kind}</strong> {subscription !== undefined && of === undefined && (
              <>
                <a href={subscriptionPath(subscription)}>{visible(subscription)}</a>:{" "}
              </>
            )}
            {visible(cause)}
            {by !== undefined && !cause.endsWith(` by ${by}`) && ` by ${visible(by)}`}
            {address !== undefined && ` from ${visible(address)}`}{" "}
            {delivery !== undefined && of !== "delivery" && (
              <>
                (<a href={deliveryPath(delivery)}>the delivery</a>)
              </>
            )}
          </div>
        </li>
      ))}
    </ol>
  );
}

/** What an action did, told at the top of the page it came back to. */
export function Notice({ text, isBad = false }: { text: string | undefined; isBad?: boolean }) {
  if (text === undefined) return null;
  return <p class={isBad ? "notice is-bad" : "notice"} role="status">{text}</p>;
}
