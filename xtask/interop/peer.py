"""One end of an exchange with Python `websockets`.

    peer.py server SENT RECEIVED    serves on a free loopback port; the path of a connection says what it does:
                                    /HOW sends the file SENT, /receive stores what it gets as RECEIVED
    peer.py client URL SENT HOW     sends the file SENT, expects the same bytes back, and closes

HOW is `whole` (one message in one frame), `fragments` (one message in many), `small` (many messages) or `text` (messages of
text, each in two fragments; SENT has to be UTF-8 then).
"""

import asyncio
import pathlib
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

FRAGMENT = 50_000
SMALL = 1_000

# Room for everything, and no compression: that is another exchange.
SETTINGS = {"max_size": None, "compression": None}


def pieces(sequence, size):
    return [sequence[at : at + size] for at in range(0, len(sequence), size)]


async def send(socket, content, how):
    if how == "whole":
        await socket.send(content)
    elif how == "fragments":
        await socket.send(pieces(content, FRAGMENT))
    elif how == "small":
        for piece in pieces(content, SMALL):
            await socket.send(piece)
    elif how == "text":
        for piece in pieces(content.decode(), SMALL):
            await socket.send(pieces(piece, SMALL // 2))
    else:
        raise ValueError(f"cannot send {how}")


async def server(sent, received):
    async def handle(socket):
        how = socket.request.path.lstrip("/")
        if how == "receive":
            with open(received, "wb") as file:
                async for message in socket:
                    file.write(message)
        else:
            await send(socket, pathlib.Path(sent).read_bytes(), how)

    async with serve(handle, "127.0.0.1", 0, **SETTINGS) as listening:
        port = listening.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/", flush=True)
        await asyncio.Future()


async def client(url, sent, how):
    content = pathlib.Path(sent).read_bytes()
    async with connect(url, **SETTINGS) as socket:
        sending = asyncio.create_task(send(socket, content, how))
        received = bytearray()
        while len(received) < len(content):
            received += await socket.recv(decode=False)
        await sending
    if received != content:
        sys.exit(f"{len(received)} bytes came back, and not those that were sent")
    if socket.close_code != 1000:
        sys.exit(f"closed with {socket.close_code} {socket.close_reason!r}")


if __name__ == "__main__":
    role, *arguments = sys.argv[1:]
    asyncio.run({"server": server, "client": client}[role](*arguments))
