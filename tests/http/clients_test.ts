/** HTTP clients of other platforms post events to a daemon in its own process. */
import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { freePort, kill, serve } from "../support/processes.ts";

interface Client {
  readonly name: string;
  /** The client is installed if this program runs successfully with these arguments. */
  readonly needs: readonly string[];
  /** Posts the event `BODY` to `URL`, and prints the answer's status. */
  readonly command: readonly string[];
  /** A file that the command uses. */
  readonly file?: { readonly name: string; readonly text: string };
}

/** In commands and files, `URL` and `BODY` are placeholders for the URL and the event. */
const CLIENTS: readonly Client[] = [
  {
    name: "Java's HttpClient, which offers to go on in HTTP/2",
    needs: ["java", "--version"],
    command: ["java", "-XX:TieredStopAtLevel=1", "Post.java"],
    file: {
      name: "Post.java",
      text: `import java.net.URI;
import java.net.http.*;
class Post {
  public static void main(String[] args) throws Exception {
    var request = HttpRequest.newBuilder(URI.create("URL")).header("Content-Type", "application/json")
      .POST(HttpRequest.BodyPublishers.ofString(\"\"\"\nBODY\"\"\")).build();
    System.out.println(HttpClient.newHttpClient()
      .send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
  }
}`,
    },
  },
  {
    name: "Go's net/http",
    needs: ["go", "version"],
    command: ["go", "run", "post.go"],
    file: {
      name: "post.go",
      text: `package main

import ("fmt"; "net/http"; "strings")

func main() {
	answer, err := http.Post("URL", "application/json", strings.NewReader(\`BODY\`))
	if err != nil { panic(err) }
	fmt.Println(answer.StatusCode)
}`,
    },
  },
  {
    name: "Ruby's Net::HTTP",
    needs: ["ruby", "--version"],
    command: [
      "ruby",
      "-rnet/http",
      "-e",
      "puts Net::HTTP.post(URI('URL'), 'BODY', 'Content-Type' => 'application/json').code",
    ],
  },
  {
    name: "PHP's curl",
    needs: ["php", "-r", "exit(function_exists('curl_init') ? 0 : 1);"],
    command: [
      "php",
      "-r",
      `$c = curl_init('URL'); curl_setopt_array($c, [CURLOPT_POSTFIELDS => 'BODY',
         CURLOPT_HTTPHEADER => ['Content-Type: application/json'], CURLOPT_RETURNTRANSFER => true]);
       curl_exec($c); echo curl_getinfo($c, CURLINFO_RESPONSE_CODE);`,
    ],
  },
  {
    name: "PHP's file_get_contents",
    needs: ["php", "--version"],
    command: [
      "php",
      "-r",
      `file_get_contents('URL', false, stream_context_create(['http' => ['method' => 'POST',
         'header' => 'Content-Type: application/json', 'content' => 'BODY']]));
       echo explode(' ', $http_response_header[0])[1];`,
    ],
  },
  python("urllib", "import urllib.request as u", {
    post:
      "print(u.urlopen(u.Request('URL', b'BODY', {'Content-Type': 'application/json'})).status)",
  }),
  python("http.client", "import http.client as h", {
    post: `c = h.HTTPConnection(*'URL'.split('/')[2].split(':'))
c.request('POST', '/v1/events', 'BODY', {'Content-Type': 'application/json'})
print(c.getresponse().status)`,
  }),
  python("requests", "import requests", {
    post: "print(requests.post('URL', json=json.loads('BODY')).status_code)",
  }),
  python("httpx", "import httpx", {
    post: "print(httpx.post('URL', json=json.loads('BODY')).status_code)",
  }),
  python("urllib3", "import urllib3", {
    post: `print(urllib3.PoolManager().request('POST', 'URL', body='BODY',
      headers={'Content-Type': 'application/json'}).status)`,
  }),
  python("aiohttp", "import aiohttp, asyncio", {
    post: `async def post():
  async with aiohttp.ClientSession() as session:
    async with session.post('URL', json=json.loads('BODY')) as answer: print(answer.status)
asyncio.run(post())`,
  }),
  {
    name: "Node's http",
    needs: ["node", "--version"],
    command: [
      "node",
      "-e",
      `const q = require("node:http").request("URL",
         { method: "POST", headers: { "content-type": "application/json" } },
         (answer) => { console.log(answer.statusCode); answer.resume(); });
       q.end('BODY');`,
    ],
  },
  {
    name: "Node's fetch",
    needs: ["node", "-e", "fetch"],
    command: [
      "node",
      "-e",
      `fetch("URL", { method: "POST", headers: { "content-type": "application/json" },
         body: 'BODY' }).then((answer) => console.log(answer.status));`,
    ],
  },
  curl("HTTP/1.1", "--http1.1"),
  curl("HTTP/1.0", "--http1.0"),
  curl("an offer to go on in HTTP/2", "--http2"),
  curl("HTTP/2 from the first byte", "--http2-prior-knowledge"),
  curl("a body of unknown length", "-H", "Transfer-Encoding: chunked"),
  curl("a body that waits to be asked for", "-H", "Expect: 100-continue"),
  {
    name: "wget",
    needs: ["wget", "--version"],
    command: [
      "sh",
      "-c",
      `wget -S -q -O /dev/null --header 'Content-Type: application/json' --post-data 'BODY' URL 2>&1 |
         sed -n 's/.*HTTP[^ ]* \\([0-9]*\\).*/\\1/p'`,
    ],
  },
];

/** Debian's Python, which finds Debian's packages. */
function python(name: string, imports: string, { post }: { post: string }): Client {
  return {
    name: `Python's ${name}`,
    needs: ["/usr/bin/python3", "-c", imports],
    command: ["/usr/bin/python3", "-c", `import json\n${imports}\n${post}`],
  };
}

function curl(name: string, ...options: string[]): Client {
  const fixed = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--json", "BODY", "URL"];
  return {
    name: `curl with ${name}`,
    needs: ["curl", "--version"],
    command: ["curl", ...options, ...fixed],
  };
}

const missing = new Set<Client>();
await Promise.all(CLIENTS.map(async (client) => {
  if (!await succeeds(client.needs)) missing.add(client);
}));
const skipped = [...missing].map(({ name }) => name).join(", ");

Deno.test(`publishers' clients: each posts an event by its defaults${skipped && ` (not here: ${skipped})`}`, async () => {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({ server: { listen: `127.0.0.1:${port}` } }),
  );
  const daemon = await serve(folder, port);
  try {
    const clients = CLIENTS.filter((client) => !missing.has(client));
    const statuses = await Promise.all(clients.map(async (client, index) => {
      const own = join(folder, String(index));
      await Deno.mkdir(own);
      return [client.name, await post(client, { id: `by-${index}`, port, folder: own })];
    }));
    assertEquals(statuses, clients.map(({ name }) => [name, "202"]));
    const answer = await fetch(`http://127.0.0.1:${port}/v1/events?limit=500`);
    const { items } = await answer.json();
    assertEquals(
      items.map(({ id }: { id: string }) => id).sort(),
      clients.map((_, index) => `by-${index}`).sort(),
    );
  } finally {
    await kill(daemon);
    await Deno.remove(folder, { recursive: true });
  }
});

async function post(
  { command, file }: Client,
  { id, port, folder }: { id: string; port: number; folder: string },
): Promise<string> {
  const body = JSON.stringify({ id, type: "booking.created", data: { total: 1 } });
  const filled = (text: string) =>
    text.replaceAll(/\bURL\b/g, `http://127.0.0.1:${port}/v1/events`).replaceAll(/\bBODY\b/g, body);
  if (file) await Deno.writeTextFile(join(folder, file.name), filled(file.text));
  const [program, ...args] = command.map(filled);
  const { stdout, stderr } = await new Deno.Command(program!, { args, cwd: folder }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return text(stdout) || text(stderr);
}

async function succeeds([program, ...args]: readonly string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(program!, { args, stdout: "null", stderr: "null" }).output())
      .success;
  } catch {
    return false;
  }
}
