/**
 * A receiver in a process of its own, so that it can be killed as well: PORT, a file to note arrivals
 * in, and which incarnation of it this is. A line is in the file before its request is answered.
 */
const [port, path, incarnation] = Deno.args;
const notes = Deno.openSync(path!, { append: true, create: true, write: true });
const encoder = new TextEncoder();
const seen = new Set<string>();

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen }, async (request) => {
  const subscription = new URL(request.url).pathname.slice(1);
  const id = request.headers.get("webhook-id")!;
  const number = Number(id.slice(3));
  await request.arrayBuffer();
  const status = statusOf(subscription, number, seen.has(id));
  seen.add(id);
  const generation = request.headers.get("x-generation");
  notes.writeSync(
    encoder.encode(`${subscription} ${id} ${generation} ${incarnation} ${status}\n`),
  );
  // Some answers are slow, so that attempts are in flight at a kill.
  if (number % 3 === 0) await new Promise((resolve) => setTimeout(resolve, number % 40));
  return new Response(null, { status });
});

function onListen(): void {
  console.log("listening");
}

function statusOf(subscription: string, number: number, isKnown: boolean): number {
  if (subscription === "hopeless") return 503;
  return subscription === "mortal" && number % 7 === 0 && !isKnown ? 500 : 200;
}
