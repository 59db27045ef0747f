/**
 * What the pages can do beside what they do without it: instants that stay true, pages that stay
 * fresh, a tail of the deliveries, keys, and copying. Every page works with none of it.
 */
"use strict";

const RELATIVE_EVERY_MS = 10_000;
/** A list that follows what comes is fetched at most so often, however much comes. */
const FOLLOW_EVERY_MS = 2_000;
const aheadMs = Number(document.body.dataset.now ?? Date.now()) - Date.now();

for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;
setInterval(tellTimes, RELATIVE_EVERY_MS);
keepFresh();
tailDeliveries();
document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("change", onChange);
document.addEventListener("submit", onSubmit);
document.addEventListener("pointerover", onPointer);

/** As the server tells them, by its clock: how far this one differs was seen as the page came. */
function tellTimes() {
  const now = Date.now() + aheadMs;
  for (const time of document.querySelectorAll("time")) {
    time.textContent = relative(Date.parse(time.dateTime), now);
  }
}

function relative(at, now) {
  const seconds = Math.abs(at - now) / 1_000;
  if (seconds < 1) return "now";
  if (seconds > 60 * 86_400) return new Date(at).toISOString().slice(0, 10);
  const [count, unit] = seconds < 60
    ? [seconds, "s"]
    : seconds < 3_600
    ? [seconds / 60, "min"]
    : seconds < 2 * 86_400
    ? [seconds / 3_600, "h"]
    : [seconds / 86_400, "d"];
  const text = `${Math.floor(count)} ${unit}`;
  return at > now ? `in ${text}` : `${text} ago`;
}

/** Fetches the page again and again while somebody looks at it. */
function keepFresh() {
  const seconds = Number(document.body.dataset.refresh);
  if (!(seconds > 0)) return;
  setInterval(() => {
    if (!document.hidden && !isBusy()) refresh();
  }, seconds * 1_000);
}

/** Whether something is being read or filled in that a fresh page would take away. */
function isBusy() {
  const focused = document.activeElement;
  return focused?.matches("input, textarea, select") || document.querySelector("dialog[open]") ||
    String(document.getSelection()) !== "";
}

/** Puts what the server says now in the place of what it said; answers whether it could. */
async function refresh() {
  try {
    const response = await fetch(location.href, { headers: { "x-requested-by": "dashboard" } });
    // Signed out meanwhile: the page asks for a token.
    if (response.status === 401) return location.reload();
    if (!response.ok) return false;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    for (const part of document.querySelectorAll("[data-swap]")) {
      const next = fresh.getElementById(part.id);
      if (next) swap(part, next);
    }
    return true;
  } catch {
    return false;
  }
}

/** What was opened stays open, what was selected selected, and the focus where it was. */
function swap(part, next) {
  const open = keysOf(part, "details[open][data-key]");
  const closed = keysOf(part, "details:not([open])[data-key]");
  const selected = new Set(
    Array.from(part.querySelectorAll("input[name=id]:checked"), ({ value }) => value),
  );
  const row = document.activeElement?.closest("tr[data-id]")?.dataset.id;
  for (const details of next.querySelectorAll("details[data-key]")) {
    if (open.has(details.dataset.key)) details.open = true;
    if (closed.has(details.dataset.key)) details.open = false;
  }
  for (const box of next.querySelectorAll("input[name=id]")) box.checked = selected.has(box.value);
  for (const element of next.querySelectorAll(".needs-script")) element.hidden = false;
  part.replaceWith(next);
  tellSelected();
  if (row !== undefined) next.querySelector(`tr[data-id="${CSS.escape(row)}"]`)?.focus();
}

function keysOf(part, selector) {
  return new Set(Array.from(part.querySelectorAll(selector), ({ dataset }) => dataset.key));
}

/** Tells how many deliveries are new; follows them, or, paused, waits to be told to show them. */
function tailDeliveries() {
  const bar = document.querySelector("[data-live]");
  if (!bar) return;
  const toggle = bar.querySelector("[data-live-toggle]");
  const show = bar.querySelector("[data-live-show]");
  const state = bar.querySelector("[data-live-state]");
  let source, isFollowing = true, isFetching = false, isStale = false, shownAt = 0, timer;

  function connect() {
    source?.close();
    source = new EventSource(bar.dataset.live);
    source.onopen = () => tell(isFollowing ? "following what comes" : "paused");
    source.onmessage = (event) => take(JSON.parse(event.data));
    source.onerror = () => tell("not connected; trying again");
  }

  /** Said once, for a reader reads it out. */
  function tell(text) {
    if (state.textContent !== text) state.textContent = text;
  }

  function take({ fresh, most }) {
    if (isFollowing) {
      if (fresh > 0) isStale = true;
      return follow();
    }
    show.hidden = fresh === 0;
    show.textContent = fresh >= most ? `${most - 1}+ new` : `${fresh} new`;
  }

  async function follow() {
    if (!isStale || isFetching || document.hidden) return;
    const waitMs = shownAt + FOLLOW_EVERY_MS - performance.now();
    if (waitMs > 0) {
      clearTimeout(timer);
      timer = setTimeout(follow, waitMs);
      return;
    }
    isFetching = true;
    isStale = false;
    await refresh();
    shownAt = performance.now();
    isFetching = false;
    if (isFollowing) follow();
  }

  toggle.addEventListener("click", () => {
    isFollowing = !isFollowing;
    toggle.setAttribute("aria-pressed", String(isFollowing));
    toggle.textContent = isFollowing ? "Pause" : "Follow";
    show.hidden = true;
    if (isFollowing) {
      isStale = true;
      follow();
    }
    // Counting begins anew, and says so when it does.
    connect();
  });
  show.addEventListener("click", async () => {
    show.hidden = true;
    await refresh();
    connect();
    toggle.focus();
  });
  // A browser has few connections to one server: only the page that is looked at holds one.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close();
    else {
      isStale = true;
      connect();
      if (isFollowing) follow();
    }
  });
  addEventListener("pagehide", () => source.close());
  connect();
}

/** Tells the numbers of the bar under the pointer. */
function onPointer(event) {
  const bar = event.target.closest?.("[data-says]");
  if (bar) tellBar(bar);
}

function tellBar(bar) {
  const chart = bar.closest("[data-chart]");
  chart.querySelector(".is-told")?.classList.remove("is-told");
  bar.classList.add("is-told");
  chart.closest("section").querySelector("[data-chart-says]").textContent = bar.dataset.says;
}

/** Goes through the bars of the chart that has the focus. */
function stepBar(by) {
  const chart = document.activeElement?.closest("[data-chart]");
  if (!chart) return false;
  const bars = [...chart.querySelectorAll("[data-says]")];
  const told = bars.findIndex((bar) => bar.classList.contains("is-told"));
  const next = told < 0 ? bars.length - 1 : Math.max(0, Math.min(bars.length - 1, told + by));
  tellBar(bars[next]);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  const { target } = event;
  if (target.matches("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const act = KEYS[event.key];
  if (act && act(target) !== false) event.preventDefault();
}

const KEYS = {
  "/": () => focusOn(document.querySelector('[data-key="/"]')),
  "?": () => document.getElementById("keys")?.showModal(),
  ArrowLeft: () => stepBar(-1),
  ArrowRight: () => stepBar(1),
  j: () => step(1),
  k: () => step(-1),
  Enter(target) {
    // A link or a button in the row does what it says.
    if (!target.matches("tr[data-href]")) return false;
    location.assign(target.dataset.href);
  },
  x() {
    const box = focusedRow()?.querySelector("input[name=id]");
    if (!box) return false;
    box.checked = !box.checked;
    tellSelected();
  },
  r() {
    const row = focusedRow();
    if (row?.dataset.id) return retry(row.dataset.id);
    const button = document.querySelector("button.is-retry");
    if (!button) return false;
    button.form.requestSubmit(button);
  },
};

function focusOn(element) {
  if (!element) return false;
  element.focus();
  element.select?.();
}

function focusedRow() {
  return document.activeElement?.closest("tr[data-href]");
}

/** To the next row, or the one before, of the table that has the focus, or else of the first. */
function step(by) {
  const row = focusedRow();
  const table = row?.closest("table") ?? document.querySelector("table:has(tr[data-href])");
  const rows = Array.from(table?.querySelectorAll("tr[data-href]") ?? []);
  if (rows.length === 0) return false;
  const at = row ? rows.indexOf(row) + by : 0;
  const next = rows[Math.max(0, Math.min(rows.length - 1, at))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

/** By the list's own form, with this row alone selected. */
function retry(id) {
  const csrf = document.querySelector("input[name=csrf]").value;
  const form = document.createElement("form");
  form.method = "post";
  // The brand links to where the daemon is shown.
  form.action = `${document.querySelector(".brand").href}dashboard/deliveries/retry`;
  for (
    const [name, value] of Object.entries({ csrf, back: location.pathname + location.search, id })
  ) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

function onClick(event) {
  const shows = event.target.closest("[data-shows]");
  if (shows) document.getElementById(shows.dataset.shows).showModal();
  const copies = event.target.closest("[data-copies], [data-copies-text]");
  if (copies) copy(copies);
}

/** The text of an element, or an id that the button itself has. */
async function copy(button) {
  const { copies, copiesText } = button.dataset;
  const source = copies ? document.getElementById(copies) : button;
  const shown = button.textContent, label = button.getAttribute("aria-label");
  try {
    await navigator.clipboard.writeText(copiesText ?? source.textContent);
    button.textContent = copiesText ? "✓" : "Copied";
    if (label) button.setAttribute("aria-label", "Copied");
  } catch {
    // Not allowed, or not over plain HTTP: it is selected, to be copied by hand.
    if (copiesText) button.textContent = copiesText;
    getSelection().selectAllChildren(source);
    if (copiesText) return;
    button.textContent = "Selected";
  }
  setTimeout(() => {
    button.textContent = shown;
    if (label) button.setAttribute("aria-label", label);
  }, 2_000);
}

function onChange(event) {
  if (event.target.matches("[data-selects-all]")) {
    for (const box of event.target.closest("form").querySelectorAll("input[name=id]")) {
      box.checked = event.target.checked;
    }
  }
  if (event.target.matches("[data-selects-all], input[name=id]")) tellSelected();
}

function tellSelected() {
  const told = document.querySelector("[data-selected]");
  if (!told) return;
  const count = document.querySelectorAll("input[name=id]:checked").length;
  told.textContent = count === 0 ? "" : `${count} selected`;
}

function onSubmit(event) {
  const question = event.submitter?.dataset.asks ?? event.target.dataset.asks;
  if (question !== undefined && !confirm(question)) event.preventDefault();
}
