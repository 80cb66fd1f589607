"""Exchanges compressed messages between Chromium and our server: `browser.py PROGRAM [CHROMIUM]`.

PROGRAM is our example `compression`. A page in a headless browser connects with every restriction that our server can put on
it, and reports here. Needs nothing but Python and the browser, so it is run by hand and not by CI.
"""

import collections
import http.server
import itertools
import subprocess
import sys
import tempfile
import threading

PAGE = """<!doctype html><script>
let prose = "";
for (let i = 0; i < 20000; i++) prose += `${i} ${(i * i) % 977} aé€😀\\n`;
const bytes = new TextEncoder().encode(prose);
const messages = [];
for (const size of [0, 1, 127, 128, 5000, 300000]) {
  messages.push(bytes.slice(0, size));
  if (size < 300000) messages.push(prose.slice(0, size));
}
const same = (a, b) => typeof a === "string" ? a === b
  : b instanceof ArrayBuffer && b.byteLength === a.length && new Uint8Array(b).every((byte, i) => byte === a[i]);
const talk = (url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const expected = [];
  let outcome;
  socket.onopen = () => {
    for (const message of messages) for (let i = 0; i < 2; i++) { socket.send(message); expected.push(message); }
    socket.send("?");
  };
  socket.onmessage = ({ data }) => {
    if (expected.length === 0) { outcome = data; socket.close(1000); return; }
    const message = expected.shift();
    if (!same(message, data)) { outcome = "FAILED: other bytes came back"; socket.close(); }
  };
  socket.onclose = (event) => resolve(
    `${socket.extensions || "no extension"}: ` +
    (outcome && event.wasClean ? outcome : `FAILED: closed with ${event.code} ${event.reason}`));
});
(async () => {
  const all = [];
  for (const url of URLS) all.push(`${url} ${await talk(url)}`);
  await fetch("/done", { method: "POST", body: all.join("\\n") });
})();
</script>"""


def urls(url):
    for send, receive in itertools.product(range(9, 16), range(8, 16)):
        for sends, receives in itertools.product(["true", "false"], repeat=2):
            yield f"{url}?send={send}&receive={receive}&send_takeover={sends}&receive_takeover={receives}"


def main(program, browser):
    server = subprocess.Popen([program, "serve", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    url = server.stdout.readline().decode().split()[-1]
    came, done = [], threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(PAGE.replace("URLS", repr(list(urls(url)))).encode())

        def do_POST(self):
            came.extend(self.rfile.read(int(self.headers["Content-Length"])).decode().split("\n"))
            self.send_response(204)
            self.end_headers()
            done.set()

        def log_message(self, *_):
            pass

    pages = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--proxy-server=direct://"]
        running = subprocess.Popen(
            [browser, *words, f"http://127.0.0.1:{pages.server_port}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        finished = done.wait(300)
        running.terminate()
        running.wait()
    server.kill()
    if not finished:
        sys.exit("the page did not finish")
    bad = [line for line in came if "FAILED" in line or ", 0 to" in line or "no extension" in line]
    agreements = collections.Counter(line.split(" ", 1)[1].split(":")[0] for line in came)
    print("\n".join(bad))
    print(f"{len(came)} connections with {len(agreements)} different agreements, {len(bad)} failed; the last: {came[-1]}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "chromium")
