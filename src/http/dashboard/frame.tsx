import type { Child } from "hono/jsx";
import { html } from "hono/html";
import { VERSION } from "../../version.ts";
import { SCRIPT_PATH, STYLE_PATH } from "./assets.ts";
import {
  CONFIG,
  DELIVERIES,
  EVENTS,
  OVERVIEW,
  PAYLOADS,
  RECEIVERS,
  SIGN_OUT,
  SUBSCRIPTIONS,
} from "./paths.ts";
import { Hidden } from "./hidden.tsx";
import { SearchBox } from "./searching.tsx";
import type { Viewer } from "./viewer.ts";

/** A page of the dashboard, as it goes out. */
export interface Page {
  readonly title: string;
  /** The entry of the menu that it belongs to. */
  readonly section?: string;
  /** Undefined where nobody is signed in. */
  readonly viewer?: Viewer;
  /** How often our script fetches it anew, in seconds. */
  readonly refreshS?: number;
  readonly children: Child;
}

const MENU: readonly (readonly [path: string, title: string])[] = [
  [OVERVIEW, "Overview"],
  [DELIVERIES, "Deliveries"],
  [SUBSCRIPTIONS, "Subscriptions"],
  [EVENTS, "Events"],
  [RECEIVERS, "Receivers"],
  [CONFIG, "Config"],
];

/** The document around a page's own content. */
export function renderPage(page: Page) {
  return html`<!DOCTYPE html>${<Frame {...page} />}`;
}

function Frame({ title, section, viewer, refreshS, children }: Page) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>{title} · Bellhook</title>
        <link rel="icon" href="/dashboard/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href={STYLE_PATH} />
        <script src={SCRIPT_PATH} defer></script>
      </head>
      <body data-refresh={refreshS} data-now={viewer?.now}>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="bar">
          <a class="brand" href={OVERVIEW}>
            <Bell /> Bellhook
          </a>
          {viewer && (
            <>
              <button type="button" class="quiet menu-button" popovertarget="menu">Menu</button>
              <div id="menu" popover="auto">
                <nav aria-label="Pages">
                  {MENU.map(([path, name]) => (
                    <a href={path} aria-current={path === section ? "page" : undefined}>{name}</a>
                  ))}
                </nav>
                <Preferences viewer={viewer} />
              </div>
              <SearchBox here={viewer.here} />
            </>
          )}
        </header>
        <main id="main" tabindex={-1}>{children}</main>
        <footer>
          <span>Bellhook {VERSION}</span>
          <span>All instants are UTC</span>
          {viewer && (
            <button type="button" class="quiet needs-script" data-shows="keys" hidden>
              <kbd>?</kbd> keys
            </button>
          )}
        </footer>
        {viewer && <Keys />}
      </body>
    </html>
  );
}

function Preferences({ viewer }: { viewer: Viewer }) {
  const hidden = viewer.hidesPayloads;
  return (
    <div class="who">
      <form method="post" action={PAYLOADS}>
        <Hidden viewer={viewer} />
        <button type="submit" name="payloads" value={hidden ? "shown" : "hidden"} class="quiet">
          {hidden ? "Show payloads" : "Hide payloads"}
        </button>
      </form>
      {viewer.canSignOut && (
        <form method="post" action={SIGN_OUT}>
          <Hidden viewer={viewer} />
          <span class="name">{viewer.name}</span>
          <button type="submit" class="quiet">Sign out</button>
        </form>
      )}
    </div>
  );
}

function Keys() {
  return (
    <dialog id="keys" aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}

const KEYS = [
  ["/", "to the search"],
  ["j", "to the next row"],
  ["k", "to the row before"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["r", "retry the row, or the delivery that is open"],
  ["← →", "through the bars of a chart"],
  ["?", "these keys"],
] as const;

function Bell() {
  return (
    <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="currentColor">
      <path d="M8 1a1 1 0 0 1 1 1v.6A4.5 4.5 0 0 1 12.500 7v3.200l1.300 1.900a.6.6 0 0 1-.5.900H2.700a.6.6 0 0 1-.5-.900l1.300-1.900V7A4.500 4.500 0 0 1 7 2.600V2a1 1 0 0 1 1-1zM6.300 14h3.400a1.700 1.700 0 0 1-3.400 0z" />
    </svg>
  );
}
