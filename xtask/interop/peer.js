// One end of an exchange with Node `ws`; it takes the same words and does the same as peer.py beside it.
"use strict";

const fs = require("node:fs");
const { WebSocket, WebSocketServer } = require("ws");

const FRAGMENT = 50_000;
const SMALL = 1_000;

// Room for everything, and no compression: that is another exchange.
const SETTINGS = { maxPayload: 1 << 30, perMessageDeflate: false };

function* pieces(sequence, size) {
  for (let at = 0; at < sequence.length; at += size) yield sequence.slice(at, at + size);
}

/** Queues one frame, and waits until it is written. */
function frame(socket, data, options) {
  return new Promise((resolve, reject) => {
    socket.send(data, options, (error) => (error ? reject(error) : resolve()));
  });
}

async function message(socket, parts, binary) {
  const list = [...parts];
  for (const [index, part] of list.entries()) {
    await frame(socket, part, { binary, fin: index === list.length - 1 });
  }
}

async function send(socket, content, how) {
  if (how === "whole") return frame(socket, content, { binary: true });
  if (how === "fragments") return message(socket, pieces(content, FRAGMENT), true);
  if (how === "small") {
    for (const piece of pieces(content, SMALL)) await frame(socket, piece, { binary: true });
  } else if (how === "text") {
    // By characters: a piece must not end between the halves of a pair.
    for (const piece of pieces([...content.toString()], SMALL)) {
      const halves = [...pieces(piece, SMALL / 2)].map((half) => half.join(""));
      await message(socket, halves, false);
    }
  } else {
    throw new Error(`cannot send ${how}`);
  }
}

function fail(error) {
  console.error(error);
  process.exit(1);
}

function server(sent, received) {
  const listening = new WebSocketServer({ host: "127.0.0.1", port: 0, ...SETTINGS });
  listening.on("listening", () => {
    console.log(`listening on ws://127.0.0.1:${listening.address().port}/`);
  });
  listening.on("connection", (socket, request) => {
    const how = request.url.slice(1);
    socket.on("error", fail);
    if (how === "receive") {
      const file = fs.openSync(received, "w");
      socket.on("message", (data) => fs.writeSync(file, data));
      socket.on("close", () => fs.closeSync(file));
    } else {
      send(socket, fs.readFileSync(sent), how).then(() => socket.close(1000), fail);
    }
  });
}

function client(url, sent, how) {
  const content = fs.readFileSync(sent);
  const socket = new WebSocket(url, SETTINGS);
  const received = [];
  let length = 0;
  socket.on("error", fail);
  socket.on("open", () => send(socket, content, how).catch(fail));
  socket.on("message", (data) => {
    received.push(data);
    length += data.length;
    if (length >= content.length) socket.close(1000);
  });
  socket.on("close", (code, reason) => {
    if (!Buffer.concat(received).equals(content)) {
      fail(`${length} bytes came back, and not those that were sent`);
    }
    if (code !== 1000) fail(`closed with ${code} ${reason}`);
  });
}

const [role, ...words] = process.argv.slice(2);
({ server, client })[role](...words);
