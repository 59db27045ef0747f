import { Hono } from "hono";

// The limit of Bellhook's web framework and server: parses an event, stores nothing, answers.
const app = new Hono();
app.get("/v1/", (context) => context.text("ready"));
app.post("/v1/events", async (context) => {
  const event = await context.req.json() as { type: string };
  const id = crypto.randomUUID();
  return context.json(
    { id, deliveries: [{ id, subscription: event.type }] },
    202,
  );
});
Deno.serve(
  { hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen() {} },
  (request) => app.fetch(request),
);
