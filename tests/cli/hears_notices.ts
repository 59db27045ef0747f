/** A service manager's ear, in a process of its own: Unix datagrams need a flag that tests lack. */

interface Datagrams {
  listenDatagram(
    options: { transport: "unixpacket"; path: string },
  ): AsyncIterable<[bytes: Uint8Array, from: unknown]>;
}

const [path] = Deno.args;
const socket = (Deno as unknown as Datagrams)
  .listenDatagram({ transport: "unixpacket", path: path! });
console.log("listening");
for await (const [bytes] of socket) console.log(JSON.stringify(new TextDecoder().decode(bytes)));
