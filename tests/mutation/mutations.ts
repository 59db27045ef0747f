/** One defence taken away, and the tests that are to see it go. */
export interface Mutation {
  /** What it is for; read after "without". */
  readonly defence: string;
  /** Beneath src/. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly text: string;
  readonly replacement: string;
  /** Files or folders beneath tests/. */
  readonly tests: readonly string[];
}

/** The defences that the promises stand on. */
export const MUTATIONS: readonly Mutation[] = [
  // 202 means stored.
  {
    defence: "the fsync of a commit",
    file: "outbox/sqlite/journal.ts",
    text: "await this.#file.syncData();",
    replacement: "",
    tests: ["power_loss"],
  },
  {
    defence: "the fsync of the database after a checkpoint",
    file: "outbox/sqlite/journal.ts",
    text: "await this.#database.syncData();",
    replacement: "",
    tests: ["power_loss"],
  },
  {
    defence: "the wait in which a long journal comes to its end",
    file: "outbox/sqlite/sqlite_outbox.ts",
    text: "const isLong = all >= LONG_JOURNAL_PAGES;",
    replacement: "const isLong = false;",
    tests: ["outbox/sqlite_file_test.ts"],
  },
  {
    defence: "a released second attempt being due by the index alone",
    file: "outbox/sqlite/store.ts",
    text: "if (attemptCount === 0) this.#indexing.wait(",
    replacement: "this.#indexing.wait(",
    tests: ["outbox/sqlite_outbox_test.ts"],
  },
  {
    defence: "the wait for the fsync before the answer",
    file: "outbox/sqlite/sqlite_outbox.ts",
    text: "await this.#journal?.sync();",
    replacement: "void this.#journal?.sync().catch(() => {});",
    tests: ["power_loss"],
  },
  {
    defence: "the stop after a failed write",
    file: "outbox/sqlite/faults.ts",
    text: `[10, "reading, writing or syncing it failed"],`,
    replacement: "",
    tests: ["outbox/sqlite_file_test.ts"],
  },
  {
    defence: "a full disk being a passing thing",
    file: "outbox/sqlite/faults.ts",
    text: `[13, "the disk is full; make room"],`,
    replacement: "",
    tests: ["outbox/sqlite_file_test.ts"],
  },
  {
    defence: "the rollback of a failed transaction",
    file: "outbox/sqlite/store.ts",
    text: "if (this.#db.isTransaction) this.#sql.rollback.run();",
    replacement: "if (this.#db.isTransaction) this.#sql.commit.run();",
    tests: ["outbox/sqlite_file_test.ts", "outbox/sqlite_outbox_test.ts"],
  },
  {
    defence: "the refusal of another content under a known Idempotency-Key",
    file: "outbox/sqlite/store.ts",
    text: `if (!equalBytes(known.content, content)) return { kind: "keyConflict" };`,
    replacement: "",
    tests: ["http/publish_test.ts"],
  },
  {
    defence: "the refusal of another content under a known id",
    file: "outbox/sqlite/store.ts",
    text: "if (known && !(known.content_hash && equalBytes(known.content_hash, contentHash))) {",
    replacement: "if (false) {",
    tests: ["http/publish_test.ts"],
  },
  {
    defence: "the data in what two postings are compared by",
    file: "ingest/ingest.ts",
    text: `    event.data,
    event.metadata ?? "",`,
    replacement: "",
    tests: ["http/publish_test.ts"],
  },
  {
    defence: "each publisher's Idempotency-Keys being its own",
    file: "ingest/ingest.ts",
    text: `key: hash16([publisher?.name ?? "", idempotencyKey]),`,
    replacement: "key: hash16([idempotencyKey]),",
    tests: ["http/publish_test.ts"],
  },

  // At least once, never silently dropped.
  {
    defence: "the look at what is pending when the daemon starts",
    file: "dispatch/scheduler.ts",
    text: `this.#running = true;
    await this.refresh();`,
    replacement: "this.#running = true;",
    tests: ["stories/ladder_test.ts"],
  },
  {
    defence: "the claim check on recording",
    file: "outbox/sqlite/store.ts",
    text: "if (!this.#claims.holds(grant)) {",
    replacement: "if (false) {",
    tests: ["outbox/sqlite_outbox_test.ts", "dispatch"],
  },
  {
    defence: "the rule that what is claimed is claimed by nobody else",
    file: "outbox/sqlite/store.ts",
    text: "rows.filter(({ seq }) => !this.#claims.isClaimed(id, seq));",
    replacement: "rows;",
    tests: ["outbox/sqlite_outbox_test.ts"],
  },
  {
    defence: "the guard that keeps a final state final",
    file: "outbox/sqlite/store.ts",
    text: "reason = cast(? as blob), last_status = ?\n    where seq = ? and state = 0 and",
    replacement: "reason = cast(? as blob), last_status = ?\n    where seq = ? and",
    tests: ["outbox/sqlite_outbox_test.ts", "dispatch"],
  },
  {
    defence: "the guard that cancels only what is pending",
    file: "outbox/sqlite/store.ts",
    text: "where seq = :seq and created_at = :createdAt and state = 0 returning subscription`",
    replacement: "where seq = :seq and created_at = :createdAt returning subscription`",
    tests: ["outbox/sqlite_outbox_test.ts"],
  },
  {
    defence: "the hold of a paused or disabled subscription",
    file: "dispatch/scheduler.ts",
    text: "return !subscription || !subscription.enabled || this.#ports.isPaused(id);",
    replacement: "return !subscription;",
    tests: ["stories/delivery_test.ts"],
  },
  {
    defence: "the end of the ladder",
    file: "domain/verdict.ts",
    text: "!isWithin(rules.ladder, standing.firstAt, at + waitMs)",
    replacement: "!isWithin(rules.ladder, standing.firstAt, at - 2 * waitMs)",
    tests: ["domain/verdict_test.ts"],
  },
  {
    defence: "the end that 410 Gone makes",
    file: "domain/verdict.ts",
    text: `outcome.kind === "answered" && outcome.status === 410`,
    replacement: "false",
    tests: ["domain/verdict_test.ts"],
  },
  {
    defence: "the rule that a redirect is no success",
    file: "domain/attempt.ts",
    text: "from <= outcome.status && outcome.status <= to",
    replacement: "from <= outcome.status && outcome.status <= to + 100",
    tests: ["domain/verdict_test.ts"],
  },
  {
    defence: "the rule that retention leaves alone what is pending",
    file: "outbox/sqlite/pruning.ts",
    text: "where state = :state and state <> 0 and fresh = 0 and finished_at < :before",
    replacement: "where state in (:state, 0) and coalesce(finished_at, created_at) < :before",
    tests: ["outbox/sqlite_outbox_test.ts"],
  },
  {
    defence: "the longer time that what failed is kept",
    file: "outbox/sqlite/pruning.ts",
    text: "state === DELIVERED ? before.delivered : before.exhausted",
    replacement: "before.delivered",
    tests: ["outbox/sqlite_outbox_test.ts"],
  },
  {
    defence: "the refusal of a database with a newer schema",
    file: "outbox/sqlite/schema.ts",
    text: "if (header.version > migrations.length) {",
    replacement: "if (false) {",
    tests: ["outbox/sqlite_file_test.ts", "outbox/migrations_test.ts"],
  },
  {
    defence: "the lock that lets one process alone write",
    file: "outbox/sqlite/lock.ts",
    text: "if (!await file.tryLock(true))",
    replacement: "if (false)",
    tests: ["outbox/sqlite_file_test.ts"],
  },
  {
    defence: "the file mode that keeps others from what publishers post",
    file: "outbox/sqlite/connection.ts",
    text: "const CREATE: Deno.OpenOptions = { write: true, create: true, mode: 0o600 };",
    replacement: "const CREATE: Deno.OpenOptions = { write: true, create: true, mode: 0o644 };",
    tests: ["outbox/sqlite_file_test.ts"],
  },

  // Never early.
  {
    defence: "the rule that nothing is claimed before it is due",
    file: "outbox/sqlite/store.ts",
    text: ".filter(({ due_at }) => due_at <= now)",
    replacement: "",
    tests: ["outbox/sqlite_outbox_test.ts", "stories/ladder_test.ts"],
  },
  {
    defence: "the steady clock behind the schedule",
    file: "runtime/steady_clock.ts",
    text: "return this.#wallAtStart + (this.#clock.monotonicMs() - this.#monotonicAtStart);",
    replacement: "return this.#clock.wall();",
    tests: ["runtime/steady_clock_test.ts", "stories/delivery_test.ts"],
  },
  {
    defence: "the move of due times with a clock that was set",
    file: "dispatch/scheduler.ts",
    text: "const shifted = this.#ports.outbox.shiftDue(this.#now(), stepMs);",
    replacement: "const shifted = Promise.resolve();",
    tests: ["dispatch/clock_steps_test.ts", "stories/delivery_test.ts"],
  },
  {
    defence: "the rule that jitter only adds",
    file: "domain/ladder.ts",
    text: "rungMs + Math.floor(rungMs * jitter * chance)",
    replacement: "rungMs + Math.floor(rungMs * jitter * (chance - 0.5))",
    tests: ["domain/ladder_test.ts"],
  },
  {
    defence: "the spread of a herd by jitter",
    file: "dispatch/dispatcher.ts",
    text: "chance: chanceOf(claim.delivery.id, number),",
    replacement: "chance: 0,",
    tests: ["herds/herds_test.ts"],
  },
  {
    defence: "the rung as Retry-After's floor",
    file: "domain/verdict.ts",
    text: "at + Math.max(waitMs, retryAfterMs(outcome, at) ?? 0)",
    replacement: "at + (retryAfterMs(outcome, at) ?? waitMs)",
    tests: ["domain/verdict_test.ts"],
  },
  {
    defence: "the day that is Retry-After's ceiling",
    file: "domain/verdict.ts",
    text: "Math.min(askedMs, MAX_POSTPONEMENT_MS)",
    replacement: "askedMs",
    tests: ["domain/verdict_test.ts"],
  },
  {
    defence: "the look at what arrived while the process stood still",
    file: "runtime/clock.ts",
    text: "performance.now() - dueMs > STOOD_STILL_MS ? CATCHING_UP_TURNS : 0",
    replacement: "0",
    tests: ["runtime/clock_test.ts"],
  },

  // One slow receiver slows nobody else.
  {
    defence: "a subscription's slots",
    file: "dispatch/scheduler.ts",
    text: "lane.inFlight >= subscription.concurrency",
    replacement: "false",
    tests: ["stories/delivery_test.ts"],
  },
  {
    defence: "a subscription's rate limit",
    file: "dispatch/scheduler.ts",
    text: "if (paceAt > now) {",
    replacement: "if (false) {",
    tests: ["stories/delivery_test.ts", "dispatch"],
  },
  {
    defence: "the slots that are kept for those that answer",
    file: "dispatch/scheduler.ts",
    text: "if (!this.#hasShare(lane, slots)) {",
    replacement: "if (false) {",
    tests: ["stories/delivery_test.ts"],
  },
  {
    defence: "the bound on what waits in memory",
    file: "dispatch/scheduler.ts",
    text: "this.#queued < MAX_QUEUED && lane.queued < MAX_QUEUED_PER_LANE;",
    replacement: "true;",
    tests: ["dispatch/scheduler_test.ts"],
  },

  // A deadline is total.
  {
    defence: "the deadline of a request",
    file: "transport/http1_transport.ts",
    text: "this.#deadlinesOf(request.deadlineMs)",
    replacement: "this.#deadlinesOf(2 * request.deadlineMs)",
    tests: ["transport/http1_transport_test.ts"],
  },
  {
    defence: "the bound on a response's body",
    file: "transport/response_reader.ts",
    text: "new KeptBytes(MAX_RESPONSE_BYTES)",
    replacement: "new KeptBytes(16 * MAX_RESPONSE_BYTES)",
    tests: ["hostile/receivers_test.ts"],
  },
  {
    defence: "the bound on a response's head",
    file: "transport/response_reader.ts",
    text: "export const MAX_RESPONSE_HEAD_BYTES = 32 * 1024;",
    replacement: "export const MAX_RESPONSE_HEAD_BYTES = 256 * 1024;",
    tests: ["hostile/receivers_test.ts"],
  },

  // No request reaches a forbidden address.
  {
    defence: "the guard on an address in the URL",
    file: "transport/open_connection.ts",
    text:
      "if (isForbidden(host.address, allowNetworks)) throw blocked(host.address, host.address);",
    replacement: "",
    tests: ["transport/http1_transport_test.ts", "hostile/addresses_test.ts"],
  },
  {
    defence: "the guard on what a name resolves to",
    file: "transport/open_connection.ts",
    text: "if (forbidden !== undefined) throw blocked(hostname, forbidden);",
    replacement: "",
    tests: ["transport/http1_transport_test.ts", "hostile/addresses_test.ts"],
  },
  {
    defence: "the look at all resolved addresses, not the first alone",
    file: "transport/open_connection.ts",
    text: "addresses.find((address) => isForbidden(address, allowNetworks))",
    replacement: "addresses.slice(0, 1).find((address) => isForbidden(address, allowNetworks))",
    tests: ["transport/http1_transport_test.ts", "hostile/addresses_test.ts"],
  },
  {
    defence: "the connection to the address that was checked",
    file: "transport/open_connection.ts",
    text: "conn: await connectTo(address, waitMs, connecting)",
    replacement: "conn: await connectTo(opening.url.hostname, waitMs, connecting)",
    tests: ["transport/http1_transport_test.ts", "hostile/addresses_test.ts"],
  },
  {
    defence: "the rule that a mapped address is the IPv4 one that it reaches",
    file: "transport/address_guard.ts",
    text: "address !== undefined && isMapped(address) ? address.toIPv4Address() : address;",
    replacement: "address;",
    tests: ["transport/address_guard_test.ts"],
  },
  {
    defence: "the block of metadata services",
    file: "transport/address_guard.ts",
    text: `"169.254.0.0/16",`,
    replacement: "",
    tests: ["transport/address_guard_test.ts", "hostile/addresses_test.ts"],
  },
  {
    defence: "the rule that a connection is lent to no request that may not go there",
    file: "transport/destination.ts",
    text: "JSON.stringify([pool, url.origin, allowNetworks])",
    replacement: "JSON.stringify([pool, url.origin])",
    tests: ["transport/http1_transport_test.ts"],
  },
  {
    defence: "a reload's networks reaching destinations that are remembered",
    file: "transport/destination.ts",
    text: " && known.allowNetworks === allowNetworks",
    replacement: "",
    tests: ["transport/http1_transport_test.ts"],
  },
  {
    defence: "a reload's URL reaching destinations that are remembered",
    file: "transport/destination.ts",
    text: "known?.text === url && ",
    replacement: "known && ",
    tests: ["transport/http1_transport_test.ts"],
  },

  // What is sent.
  {
    defence: "a body that stays the same from attempt to attempt",
    file: "dispatch/dispatcher.ts",
    text: "renderBody(claim.format, claim.event)",
    replacement:
      "renderBody(claim.format, { ...claim.event, occurredAt: this.#ports.clock.wall() })",
    tests: ["stories/ladder_test.ts"],
  },
  {
    defence: "the digits of numbers",
    file: "domain/json_text.ts",
    text: "return compactValue(scanned(text), skipSpace(text, 0)).text;",
    replacement: "return JSON.stringify(JSON.parse(text));",
    tests: ["domain/json_text_test.ts", "profiles/fidelity_test.ts"],
  },
  {
    defence: "one dedupe id for an event and a subscription, another for others",
    file: "profiles/sign.ts",
    text: "const name = JSON.stringify([eventId, subscriptionId]);",
    replacement: "const name = JSON.stringify([eventId]);",
    tests: ["profiles/sign_test.ts"],
  },
  {
    defence: "the previous secret's signature",
    file: "profiles/sign.ts",
    text: "signer.previous && at < signer.previous.until",
    replacement: "signer.previous && false",
    tests: ["profiles/sign_test.ts"],
  },
  {
    defence: "the previous secret's end",
    file: "profiles/sign.ts",
    text: "signer.previous && at < signer.previous.until",
    replacement: "signer.previous",
    tests: ["profiles/sign_test.ts"],
  },
  {
    defence: "the line ends in BookingSync's Base64",
    file: "profiles/sign.ts",
    text: `return base64.replace(/.{1,60}/g, "$&\\n");`,
    replacement: "return base64;",
    tests: ["profiles/sign_test.ts", "profiles/vectors_test.ts"],
  },
  {
    defence: "the encoding that keeps events in their headers",
    file: "profiles/header.ts",
    text: ".replace(/[^\\x21-\\x24\\x26-\\x7e]/gu, encodeURIComponent)",
    replacement: "",
    tests: ["profiles/sign_test.ts", "hostile/publishers_test.ts"],
  },

  // Secrets stay in, strangers out.
  {
    defence: "the redaction of secret headers on record",
    file: "profiles/sign.ts",
    text: `secret ? "[redacted]" : value`,
    replacement: "value",
    tests: ["profiles/sign_test.ts"],
  },
  {
    defence: "the redaction of what a receiver echoes",
    file: "dispatch/dispatcher.ts",
    text: "const outcome = withoutSecrets(answer, sent.headers);",
    replacement: "const outcome = answer;",
    tests: ["stories/delivery_test.ts"],
  },
  {
    defence: "the redaction of secrets in a config's diff",
    file: "config/diff.ts",
    text: `["secret", secret && hidden("", { secrets: [secret] })],`,
    replacement: `["secret", secret && shown(secret.reveal())],`,
    tests: ["config/diff_test.ts"],
  },
  {
    defence: "the redaction of secrets that are printed",
    file: "domain/secret.ts",
    text: `toJSON(): string {
    return "Secret(…)";`,
    replacement: `toJSON(): string {
    return this.#value;`,
    tests: ["domain/secret_test.ts"],
  },
  {
    defence: "the environment that a notice's command does not get",
    file: "transport/command.ts",
    text: "clearEnv: true,",
    replacement: "",
    tests: ["transport/notice_transport_test.ts"],
  },
  {
    defence: "the spelling that keeps a log line one line",
    file: "runtime/log.ts",
    text: "/[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}]/gu,",
    replacement: "/$^/gu,",
    tests: ["runtime/log_test.ts"],
  },
  {
    defence: "the comparison of tokens in one time",
    file: "http/access.ts",
    text: "timingSafeEqual(digestOf(operator.token), given)",
    replacement: "operator.token.reveal() === token",
    tests: ["hostile/publishers_test.ts"],
  },
  {
    defence: "the rule that a publisher's token opens no operator's door",
    file: "http/access.ts",
    text: `if (context.get("caller").kind === "publisher") {`,
    replacement: "if (false) {",
    tests: ["http/manners_test.ts"],
  },
  {
    defence: "the types that a publisher may post",
    file: "ingest/ingest.ts",
    text: "types && !types.some((pattern) => pattern.matches(event.type))",
    replacement: "false",
    tests: ["http/publish_test.ts"],
  },
  {
    defence: "the refusal of a foreign Host",
    file: "http/access.ts",
    text: `if (!isLoopbackAuthority(host ?? "")) {`,
    replacement: "if (false) {",
    tests: ["http/publish_test.ts"],
  },
  {
    defence: "the refusal of a foreign Origin",
    file: "http/access.ts",
    text: "if (!isLoopbackAuthority(authority) || authority !== host) {",
    replacement: "if (false) {",
    tests: ["http/publish_test.ts", "hostile/publishers_test.ts"],
  },
  {
    defence: "the word that a form has to bring along",
    file: "http/dashboard/viewer.ts",
    text: `if (!isSameToken(sent.get("csrf") ?? "", csrfOf(context))) {`,
    replacement: "if (false) {",
    tests: ["dashboard/actions_test.ts"],
  },
  {
    defence: "the refusal of forms from another site",
    file: "http/dashboard/viewer.ts",
    text: "if (isOwn) return;",
    replacement: "return;",
    tests: ["dashboard/actions_test.ts", "dashboard/sign_in_test.ts"],
  },
  {
    defence: "the flags of the session's cookie",
    file: "http/dashboard/dashboard.tsx",
    text: `const COOKIE = { path: "/", httpOnly: true, sameSite: "Strict" } as const;`,
    replacement: `const COOKIE = { path: "/" } as const;`,
    tests: ["dashboard/sign_in_test.ts"],
  },
  {
    defence: "the rule that sign-in leads to no other site",
    file: "http/dashboard/paths.ts",
    text: "/^\\/(?![/\\\\])[\\x21-\\x7e]*$/.test(text)",
    replacement: "true",
    tests: ["dashboard/sign_in_test.ts"],
  },
  {
    defence: "the policy that lets no foreign script run",
    file: "http/dashboard/viewer.ts",
    text: `"script-src 'self'",`,
    replacement: `"script-src 'self' 'unsafe-inline'",`,
    tests: ["dashboard/pages_test.ts"],
  },

  // Limits on what comes in.
  {
    defence: "the limit on a posted body",
    file: "http/body.ts",
    text: "if (done && size <= maxBytes)",
    replacement: "if (done)",
    tests: ["hostile/publishers_test.ts", "http/publish_test.ts"],
  },
  {
    defence: "the refusal of a body that does not arrive in time",
    file: "http/body.ts",
    text: "reject(new ProblemError(tooLate()));",
    replacement: "resolve(new Uint8Array() as T);",
    tests: ["http/publish_test.ts"],
  },
  {
    defence: "the bound on requests under way",
    file: "http/intake.ts",
    text: "if (tooMany || tooMuch) throw new ProblemError(this.#refusal);",
    replacement: "",
    tests: ["hostile/publishers_test.ts"],
  },
  {
    defence: "the limit on how deep JSON nests",
    file: "domain/json_text.ts",
    text: "if (++depth > MAX_DEPTH) throw",
    replacement: "if (++depth > 10 * MAX_DEPTH) throw",
    tests: ["domain/json_text_test.ts"],
  },
  {
    defence: "the bound on a list's cursor",
    file: "outbox/sqlite/reader.ts",
    text: "return position.createdAt < until ? position : end;",
    replacement: "return position;",
    tests: ["http/cursors_test.ts"],
  },
  {
    defence: "the refusal of a cursor that no list handed out",
    file: "outbox/sqlite/delivery_id.ts",
    text: "return Number.isSafeInteger(createdAt) && Number.isSafeInteger(seq)",
    replacement: "return true",
    tests: ["outbox/delivery_id_test.ts", "http/manners_test.ts"],
  },

  // Notices.
  {
    defence: "the rule that a change is told once",
    file: "domain/health.ts",
    text: `verdict.kind === "exhausted" && health.failingSince === undefined`,
    replacement: `verdict.kind === "exhausted"`,
    tests: ["domain/health_test.ts"],
  },
  {
    defence: "the rule that a notice gives rise to no notice",
    file: "dispatch/dispatcher.ts",
    text: "if (this.#ports.notices.channel(subscription.id)) {",
    replacement: "if (false) {",
    tests: ["dispatch/dispatcher_test.ts"],
  },
];
