import { until } from "../support/until.ts";

/** How a server is started and told to take its config anew; each closes idle connections after 1 s. */
interface Kind {
  /** What has to be there. */
  readonly program: string;
  /** Writes what it needs into a folder; answers the command. Requests' ids go to `FOLDER/ids`. */
  readonly prepare: (folder: string, port: number) => Promise<readonly string[]>;
  /** Has it take its config anew while it serves; undefined where it can't. */
  readonly reload?: Deno.Signal;
}

const PYTHON_APP = `
import os
def took(folder, id):
    f = os.open(folder + "/ids", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(f, (id + "\\n").encode())
    os.close(f)
`;

export const KINDS: Readonly<Record<string, Kind>> = {
  nginx: {
    program: "nginx",
    reload: "SIGHUP",
    async prepare(folder, port) {
      await write(
        folder,
        "nginx.conf",
        `
        daemon off; pid ${folder}/pid; error_log ${folder}/errors; worker_processes 2;
        events {}
        http {
          log_format ids "$http_x_id"; access_log ${folder}/ids ids;
          client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
          fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi;
          scgi_temp_path ${folder}/scgi;
          keepalive_timeout 1s;
          server { listen 127.0.0.1:${port}; location / { return 200 "ok"; } }
        }`,
      );
      return ["nginx", "-c", `${folder}/nginx.conf`];
    },
  },
  Apache: {
    program: "apache2",
    reload: "SIGUSR1",
    async prepare(folder, port) {
      const modules = "/usr/lib/apache2/modules";
      await write(
        folder,
        "apache.conf",
        `
        ServerRoot ${folder}
        ServerName localhost
        PidFile ${folder}/pid
        ErrorLog ${folder}/errors
        Listen 127.0.0.1:${port}
        LoadModule mpm_event_module ${modules}/mod_mpm_event.so
        LoadModule authz_core_module ${modules}/mod_authz_core.so
        LoadModule rewrite_module ${modules}/mod_rewrite.so
        KeepAliveTimeout 1
        LogFormat "%{X-Id}i" ids
        CustomLog ${folder}/ids ids
        RewriteEngine on
        RewriteRule .* - [R=204,L]`,
      );
      return ["apache2", "-D", "FOREGROUND", "-f", `${folder}/apache.conf`];
    },
  },
  gunicorn: {
    program: "gunicorn",
    reload: "SIGHUP",
    async prepare(folder, port) {
      await write(
        folder,
        "app.py",
        `${PYTHON_APP}
def app(environ, start):
    environ["wsgi.input"].read()
    took("${folder}", environ["HTTP_X_ID"])
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]
`,
      );
      return ["gunicorn", "--chdir", folder, "-k", "gthread", "--threads", "40", "-w", "2"]
        .concat(["--keep-alive", "1", "-b", `127.0.0.1:${port}`, "app:app"]);
    },
  },
  uvicorn: {
    program: "uvicorn",
    async prepare(folder, port) {
      await write(
        folder,
        "app.py",
        `${PYTHON_APP}
async def app(scope, receive, send):
    if scope["type"] != "http": return
    while (await receive()).get("more_body"): pass
    took("${folder}", dict(scope["headers"])[b"x-id"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
`,
      );
      return ["uvicorn", "--app-dir", folder, "--timeout-keep-alive", "1"]
        .concat(["--host", "127.0.0.1", "--port", `${port}`, "--log-level", "error", "app:app"]);
    },
  },
  Node: {
    program: "node",
    async prepare(folder, port) {
      await write(
        folder,
        "app.cjs",
        `
        const http = require("node:http"), fs = require("node:fs");
        const server = http.createServer((request, response) => {
          request.resume().on("end", () => {
            fs.appendFileSync("${folder}/ids", request.headers["x-id"] + "\\n");
            // What it says of its time-out would have us close first.
            response.writeHead(200, { "connection": "keep-alive", "keep-alive": "" }).end("ok");
          });
        });
        server.keepAliveTimeout = 1000;
        server.listen(${port}, "127.0.0.1");`,
      );
      return ["node", `${folder}/app.cjs`];
    },
  },
  Go: {
    program: "go",
    async prepare(folder, port) {
      await write(
        folder,
        "main.go",
        `
package main
import ("io"; "net/http"; "os"; "time")
func main() {
  ids, _ := os.OpenFile("${folder}/ids", os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
  handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
    io.Copy(io.Discard, r.Body)
    ids.WriteString(r.Header.Get("X-Id") + "\\n")
    w.Write([]byte("ok"))
  })
  server := http.Server{Addr: "127.0.0.1:${port}", Handler: handler, IdleTimeout: time.Second}
  server.ListenAndServe()
}`,
      );
      const { success, stderr } = await new Deno.Command("go", {
        args: ["build", "-o", `${folder}/server`, `${folder}/main.go`],
        env: { GO111MODULE: "off", PATH },
      }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
      return [`${folder}/server`];
    },
  },
  Puma: {
    program: "puma",
    async prepare(folder, port) {
      await write(
        folder,
        "config.ru",
        `
run lambda { |env|
  env["rack.input"].read
  File.open("${folder}/ids", "a") { |f| f.write(env["HTTP_X_ID"] + "\\n") }
  [200, { "Content-Length" => "2" }, ["ok"]]
}`,
      );
      await write(
        folder,
        "puma.rb",
        `
persistent_timeout 1
threads 40, 40
bind "tcp://127.0.0.1:${port}"
environment "production"`,
      );
      return ["puma", "-q", "-C", `${folder}/puma.rb`, `${folder}/config.ru`];
    },
  },
};

function write(folder: string, name: string, text: string): Promise<void> {
  return Deno.writeTextFile(`${folder}/${name}`, text);
}

/** Whether a program can be had; Go's own folder is looked into as well. */
export async function isInstalled({ program }: Kind): Promise<boolean> {
  try {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `command -v ${program}`],
      env: { PATH: PATH },
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  }
}

const PATH = `${Deno.env.get("PATH") ?? ""}:/usr/sbin:/usr/local/go/bin`;

/** A server that runs until it is disposed of. */
export interface RealServer {
  readonly url: string;
  reload(): void;
  /** How often each request arrived. */
  arrivals(): Promise<ReadonlyMap<string, number>>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts one on a port and waits until it listens there. */
export async function startRealServer(kind: Kind, port: number): Promise<RealServer> {
  const folder = await Deno.makeTempDir();
  const [program, ...args] = await kind.prepare(folder, port);
  // Nginx and Apache give their rights up when they are started by root.
  await Deno.chmod(folder, 0o777);
  const process = new Deno.Command(program!, {
    args,
    env: { PATH },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  await until(
    async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        return false;
      }
    },
    `${program} listens`,
  );
  return {
    url: `http://127.0.0.1:${port}/`,
    reload: () => process.kill(kind.reload!),
    async arrivals() {
      const text = await Deno.readTextFile(`${folder}/ids`).catch(() => "");
      const ids = text.split("\n").filter((id) => id !== "" && id !== "-");
      return new Map([...Map.groupBy(ids, (id) => id)].map(([id, all]) => [id, all.length]));
    },
    async [Symbol.asyncDispose]() {
      // Workers end with their master where it is asked to, and not where it is killed.
      process.kill("SIGTERM");
      await process.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
