// Exchanges compressed messages with our example `compression`, by `ws`.
//
// `peer.js client URL`: talks to our server with every offer that the library can make, then to the server with every
// restriction of its own. `peer.js serve`: serves on one port for every setting the library has, prints a line `URL` for each,
// then `ready`, and sends messages back until it is ended.

"use strict";

const WebSocket = require("ws");

let prose = "";
for (let i = 0; i < 20000; i++) prose += `${i} ${(i * i) % 977} aé€😀\n`;
const PROSE = Buffer.from(prose);

function* messages() {
  for (const size of [0, 1, 127, 128, 5000, 300000]) {
    const bytes = PROSE.subarray(0, size);
    yield bytes;
    if (size < 300000) yield new TextDecoder().decode(bytes).replace(/\ufffd/g, "");
  }
}

function* product(...lists) {
  if (lists.length === 0) return yield [];
  for (const first of lists[0]) for (const rest of product(...lists.slice(1))) yield [first, ...rest];
}

const FLAGS = [undefined, true];
const WINDOWS = [8, 9, 10, 11, 12, 13, 14, 15];

function options([serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits]) {
  const given = { serverNoContextTakeover, clientNoContextTakeover, serverMaxWindowBits, clientMaxWindowBits };
  return { ...JSON.parse(JSON.stringify(given)), threshold: 0 };
}

function* ofOurServer() {
  for (const [send, receive, sends, receives] of product(WINDOWS.slice(1), WINDOWS, [true, false], [true, false])) {
    yield `?send=${send}&receive=${receive}&send_takeover=${sends}&receive_takeover=${receives}`;
  }
}

function talk(url, offer) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: offer, maxPayload: 0 });
    const expected = [];
    const timer = setTimeout(() => {
      socket.terminate();
      reject(new Error("it took too long"));
    }, 60000);
    let declined = false;
    let outcome;
    socket.on("error", reject);
    socket.on("close", () => {
      clearTimeout(timer);
      if (outcome) resolve({ agreed: socket.extensions && JSON.stringify(socket._agreed), outcome });
      else if (declined) resolve(null);
      else reject(new Error(`closed; ${expected.length} messages did not come back`));
    });
    socket.on("upgrade", (response) => (socket._agreed = response.headers["sec-websocket-extensions"]));
    socket.on("open", () => {
      if (!socket.extensions.includes("permessage-deflate")) {
        declined = true;
        return socket.close();
      }
      for (const message of messages()) {
        for (let i = 0; i < 2; i++) {
          socket.send(message);
          expected.push(message);
        }
        socket.send(message.slice(0, 7), { fin: false, binary: typeof message !== "string" });
        socket.send(message.slice(7), { fin: false });
        socket.send("", { fin: true });
        expected.push(message);
      }
      socket.send("?");
    });
    socket.on("message", (data, binary) => {
      const message = expected.shift();
      if (message === undefined) {
        outcome = data.toString();
        return socket.close();
      }
      if (binary !== (typeof message !== "string") || !data.equals(Buffer.from(message))) {
        reject(new Error(`${message.length} sent, ${data.length} others came back`));
        socket.terminate();
      }
    });
  });
}

// Whether too little was compressed: `send N bits, A to B bytes; receive N bits, C from D bytes`.
function bad(outcome) {
  const words = outcome.replaceAll(", no takeover", "").split(" ");
  const [sent, compressed, received, arrived] = [3, 5, 10, 12].map((i) => Number(words[i]));
  if (!(compressed > 0 && compressed < 0.8 * sent)) return "what our server sent";
  if (!(arrived > 0 && arrived < 0.8 * received)) return "what their client sent";
  return null;
}

async function client(url) {
  const begin = Date.now();
  const agreements = new Set();
  let [done, declined, failed] = [0, 0, 0];
  const all = [];
  const offers = product(FLAGS, FLAGS, [undefined, ...WINDOWS], [undefined, true, ...WINDOWS]);
  for (const offer of offers) all.push(["", options(offer)]);
  for (const suffix of ofOurServer()) all.push([suffix, { threshold: 0 }]);
  for (const [suffix, offer] of all) {
    try {
      const result = await talk(url + suffix, offer);
      if (result === null) {
        declined++;
        continue;
      }
      done++;
      agreements.add(result.agreed);
      const problem = bad(result.outcome);
      if (problem) throw new Error(`${problem}: ${result.outcome}`);
    } catch (error) {
      failed++;
      console.log(`FAILED: ${suffix} ${JSON.stringify(offer)}: ${error.message}`);
    }
  }
  const seconds = Math.round((Date.now() - begin) / 1000);
  console.log(
    `ws, their client: ${done} connections compressed with ${agreements.size} different agreements,` +
      ` ${declined} declined, ${failed} failed, ${seconds} s`,
  );
  return failed;
}

async function serve() {
  for (const setting of product(FLAGS, FLAGS, [undefined, ...WINDOWS], [undefined, ...WINDOWS])) {
    const server = new WebSocket.Server({
      host: "127.0.0.1",
      port: 0,
      perMessageDeflate: options(setting),
      maxPayload: 0,
    });
    server.on("connection", (socket) => {
      socket.on("error", () => {});
      socket.on("message", (data, binary) => socket.send(data, { binary }));
    });
    await new Promise((resolve) => server.on("listening", resolve));
    console.log(`ws://127.0.0.1:${server.address().port}/`);
  }
  console.log("ready");
}

const [role, url] = process.argv.slice(2);
if (role === "client") client(url).then((failed) => process.exit(failed ? 1 : 0));
else if (role === "serve") serve();
else process.exit(2);
