import { now } from "../load/event.ts";
import { usageOf, watchMemory } from "../processes/proc.ts";
import { runToEnd } from "../processes/child.ts";
import type { Rig, Workbench } from "../workbench.ts";
import {
  EVERYONE,
  MANY_EVENTS,
  type Measure,
  PATIENCE_SECONDS,
  type Size,
  SUBSCRIPTIONS,
} from "./measure.ts";

/** Only accepts events, without delivering. */
export const ingest: Measure = {
  name: "ingest",
  systems: EVERYONE,
  async measure(bench, system, size) {
    await using rig = await bench.rig(system, common(bench));
    await warmUp(rig, size);
    await rig.running.hold();
    const posted = await rig.flood({ seconds: size.floodSeconds });
    // A worker that was waiting for a job when it was held may still take one.
    const { arrived } = await rig.report();
    const pending = await rig.running.pending();
    if (arrived + pending !== rig.due) {
      throw new Error(`of ${rig.due} deliveries ${arrived} came and ${pending} are stored`);
    }
    return {
      "ingest.perSecond": posted.accepted /
        seconds(posted.startedAt, posted.endedAt),
    };
  },
};

/** Only delivers: a backlog from the start of the process, as after an outage. */
export const drain: Measure = {
  name: "drain",
  systems: EVERYONE,
  async measure(bench, system, size) {
    await using rig = await bench.rig(system, common(bench));
    await warmUp(rig, size);
    await rig.running.hold();
    await rig.flood({
      seconds: PATIENCE_SECONDS,
      count: size.backlog,
      batch: 100,
      connections: 4,
    });
    await rig.running.kill();
    const startedAt = now();
    await rig.running.restart();
    await rig.settled(PATIENCE_SECONDS);
    const took = seconds(startedAt, now());
    await rig.check();
    return {
      "drain.perSecond": size.backlog / took,
      "stored.bytesPerDelivery": rig.running.storedBytes() / rig.due,
    };
  },
};

/** Accepts, delivers and records, all at once, as fast as possible. */
export const steady: Measure = {
  name: "steady",
  systems: EVERYONE,
  async measure(bench, system, size) {
    await using rig = await bench.rig(system, common(bench));
    await warmUp(rig, size);
    const before = usageOf(rig.running.pids());
    const peakMemory = watchMemory(rig.running.pids);
    const { perSecond, deliveries } = await through(rig, size.floodSeconds);
    const used = usageOf(rig.running.pids()).cpuSeconds - before.cpuSeconds;
    return {
      "steady.perSecond": perSecond,
      "cpu.secondsPer10000": used / deliveries * 10_000,
      "memory.saturatedBytes": peakMemory(),
    };
  },
};

/** One event for ten subscriptions, and one for a thousand. */
export const fanOut: Measure = {
  name: "fan-out",
  systems: EVERYONE,
  async measure(bench, system, size) {
    return {
      "fanOut10.perSecond": await ofAll(10, size.floodSeconds / 2, 16),
      "fanOut1000.perSecond": await ofAll(size.crowd, size.floodSeconds / 2, 2),
    };

    async function ofAll(
      perEvent: number,
      forSeconds: number,
      connections: number,
    ) {
      const subscriptions = bench.subscriptions(perEvent, { ofAll: true });
      const events = MANY_EVENTS / perEvent;
      await using rig = await bench.rig(system, {
        subscriptions,
        events,
        perEvent,
      });
      await rig.flood({
        seconds: 30,
        count: Math.ceil(size.warmUpEvents / perEvent),
      });
      await rig.settled(PATIENCE_SECONDS);
      return (await through(rig, forSeconds, connections)).perSecond;
    }
  },
};

/** As many receivers as a large platform has customers, with separate connections. */
export const receivers: Measure = {
  name: "receivers",
  systems: ["bellhook", "bullmq"],
  async measure(bench, system, size) {
    const subscriptions = bench.subscriptions(size.receivers);
    await using rig = await bench.rig(system, {
      subscriptions,
      events: MANY_EVENTS,
    });
    await warmUp(rig, size);
    const { perSecond } = await through(rig, size.floodSeconds);
    return { "receivers5000.perSecond": perSecond };
  },
};

/** Over TLS, with a verified certificate. */
export const tls: Measure = {
  name: "tls",
  systems: ["bellhook"],
  async measure(bench, system, size) {
    const certificate = await selfSigned(bench.folder);
    const [port] = await bench.receiver.ask("open", {
      ports: 1,
      tls: certificate,
    });
    const origins = [`https://localhost:${port}`];
    await using rig = await bench.rig(system, {
      ...common(bench),
      subscriptions: bench.subscriptions(SUBSCRIPTIONS, { origins }),
      environment: { DENO_CERT: certificate.path },
    });
    await warmUp(rig, size);
    return {
      "tls.perSecond": (await through(rig, size.floodSeconds)).perSecond,
    };
  },
};

function common(bench: Workbench) {
  return {
    subscriptions: bench.subscriptions(SUBSCRIPTIONS),
    events: MANY_EVENTS,
  };
}

/** Runs to warm up first: users meet compiled code. */
async function warmUp(rig: Rig, { warmUpEvents }: Size): Promise<void> {
  await rig.flood({ seconds: 30, count: warmUpEvents });
  await rig.settled(PATIENCE_SECONDS);
}

/** From the first post to the last recorded result. */
async function through(rig: Rig, forSeconds: number, connections?: number) {
  const before = rig.due;
  const posted = await rig.flood({
    seconds: forSeconds,
    ...(connections === undefined ? {} : { connections }),
  });
  await rig.settled(PATIENCE_SECONDS);
  const took = seconds(posted.startedAt, now());
  await rig.check();
  const deliveries = rig.due - before;
  return { perSecond: deliveries / took, deliveries };
}

async function selfSigned(folder: string) {
  const path = `${folder}/certificate.pem`, keyPath = `${folder}/key.pem`;
  await runToEnd("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
      .split(" "),
    ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
    ...[
      "-addext",
      "basicConstraints=critical,CA:FALSE",
      "-keyout",
      keyPath,
      "-out",
      path,
    ],
  ]);
  return {
    path,
    cert: Deno.readTextFileSync(path),
    key: Deno.readTextFileSync(keyPath),
  };
}

function seconds(from: number, to: number): number {
  return (to - from) / 1_000;
}
