/**
 * A search that walks on through older rows by itself, until it has found a page of them, is at the end,
 * or is stopped. Without this there is a link that goes on.
 */
(() => {
  "use strict";
  let isWalking = false;

  addEventListener("click", (event) => {
    if (event.target.closest("[data-walk-stop]")) return stop();
    const link = event.target.closest("[data-walk-next]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    walk();
  });
  walk();

  async function walk() {
    const limit = Number(place()?.dataset.limit);
    let found = rows().length < limit ? rows().length : 0;
    isWalking = true;
    show();
    while (isWalking && next() && found < limit) {
      const fresh = await fetchPage(next());
      // Stopped meanwhile: what came is shown all the same.
      if (!fresh) break;
      found += take(fresh);
      show();
    }
    stop();
  }

  function stop() {
    isWalking = false;
    show();
  }

  function place() {
    return document.querySelector("[data-walk]");
  }

  /** Where the link leads, but for the long stretch that it asks for: here it goes in small steps. */
  function next() {
    const link = place()?.querySelector("[data-walk-next]");
    if (!link) return undefined;
    const url = new URL(link.href);
    url.searchParams.delete("stretch");
    return url.href;
  }

  function rows(of = document) {
    return of.querySelectorAll("[data-found] tbody tr");
  }

  /** The link while it rests, the way to stop it while it walks. */
  function show() {
    const link = place()?.querySelector("[data-walk-next]");
    if (!link) return;
    link.hidden = isWalking;
    place().querySelector("[data-walk-stop]").hidden = !isWalking;
  }

  async function fetchPage(path) {
    try {
      const response = await fetch(path, { headers: { "x-requested-by": "dashboard" } });
      if (response.status === 401) location.reload();
      if (!response.ok) return undefined;
      return new DOMParser().parseFromString(await response.text(), "text/html");
    } catch {
      return undefined;
    }
  }

  /** Puts what was found below what is there; answers how many rows it was. */
  function take(fresh) {
    const more = Array.from(rows(fresh));
    const body = document.querySelector("[data-found] tbody");
    if (body) body.append(...more);
    else if (more.length > 0 || !fresh.querySelector("[data-walk-next]")) {
      document.querySelector("[data-found]").replaceWith(fresh.querySelector("[data-found]"));
      for (const element of document.querySelectorAll("[data-found] .needs-script")) {
        element.hidden = false;
      }
    }
    const focused = document.activeElement?.closest("[data-walk]") !== null;
    place().replaceWith(fresh.querySelector("[data-walk]"));
    show();
    if (focused) {
      place().querySelector(isWalking ? "[data-walk-stop]" : "[data-walk-next]")?.focus();
    }
    return more.length;
  }
})();
