"""Bombs: a compressed message of 10 MB that inflates to 10 GB, for our end, whose memory is watched.

`bomb.py server PROGRAM CONNECTIONS`: starts `PROGRAM serve` and sends the bomb over so many connections at once.
`bomb.py stream PROGRAM`: the same, read as a stream of bytes, to its end.
`bomb.py client PROGRAM`: serves, and sends the bomb to `PROGRAM talk`.

Needs Linux, for the memory of the process, and nothing but Python.
"""

import asyncio
import base64
import hashlib
import struct
import subprocess
import sys
import time
import zlib

MIB = 1 << 20
MASK = bytes(4)


def bomb(inflated):
    """A deflate stream of so many zero bytes, made of one block of 64 MiB over and over."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = compressor.compress(bytes(64 * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    again = compressor.compress(bytes(64 * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    times = inflated // (64 * MIB) - 1
    return (first + again * times)[:-4]


def frame(payload, masked):
    head = bytes([0xC2, 127 | (0x80 if masked else 0)]) + struct.pack("!Q", len(payload))
    return head + (MASK if masked else b"") + payload


def memory(pid, name="VmRSS"):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


async def close_code(reader, masked):
    """The code of the close frame, which is the first that comes."""
    head = await reader.readexactly(2)
    assert head[0] == 0x88, head
    if head[1] & 0x80:
        mask = await reader.readexactly(4)
    body = await reader.readexactly(head[1] & 0x7F)
    if masked:
        body = bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))
    return struct.unpack("!H", body[:2])[0], body[2:].decode()


async def throw(port, payload, path="/"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    response = await reader.readuntil(b"\r\n\r\n")
    assert b"101" in response and b"permessage-deflate" in response, response
    begin = time.monotonic()

    async def send():
        try:
            writer.write(payload)
            await writer.drain()
        except ConnectionError:
            pass

    sending = asyncio.create_task(send())
    code, reason = await close_code(reader, False)
    end = time.monotonic() - begin
    sending.cancel()
    writer.close()
    return code, reason, end


async def against_server(program, connections, path="/"):
    server = subprocess.Popen([program, "serve", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        port = int(server.stdout.readline().decode().rsplit(":", 1)[1].rstrip("/\n"))
        payload = frame(bomb(10 << 30), True)
        if path == "/count":
            payload += bytes([0x88, 0x82]) + MASK + struct.pack("!H", 1000)
        print(f"{len(payload) / 1e6:.1f} MB, inflates to {(10 << 30) / 1e9:.1f} GB, {connections} at once")
        before = memory(server.pid)
        done = await asyncio.gather(*(throw(port, payload, path) for _ in range(connections)))
        await asyncio.sleep(0.5)
        codes = sorted({code for code, _, _ in done})
        print(f"close codes {codes}, “{done[0][1]}”, after {min(d[2] for d in done):.2f} to {max(d[2] for d in done):.2f} s")
        after, peak = memory(server.pid), memory(server.pid, "VmHWM")
        print(f"memory before {before:.1f} MiB, peak {peak:.1f} MiB, after {after:.1f} MiB")
    finally:
        server.kill()


async def against_client(program):
    payload = frame(bomb(10 << 30), False)
    came = asyncio.get_running_loop().create_future()

    async def serve(reader, writer):
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(line.split(": ")[1] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key"))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        await reader.readexactly(6)  # Their first message, which is empty.
        before, begin = memory(client.pid), time.monotonic()
        writer.write(payload)
        code = await close_code(reader, True)
        came.set_result((code, time.monotonic() - begin, before, memory(client.pid, "VmHWM")))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = subprocess.Popen([program, "talk"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(f"ws://127.0.0.1:{port}/\n".encode())
    client.stdin.close()
    (code, reason), seconds, before, peak = await asyncio.wait_for(came, 60)
    print(f"{len(payload) / 1e6:.1f} MB to our client: close code {code}, “{reason}”, after {seconds:.2f} s")
    print(f"memory before {before:.1f} MiB, peak {peak:.1f} MiB")
    client.kill()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["server", program, connections]:
            asyncio.run(against_server(program, int(connections)))
        case ["stream", program]:
            asyncio.run(against_server(program, 1, "/count"))
        case ["client", program]:
            asyncio.run(against_client(program))
        case _:
            sys.exit(__doc__)
