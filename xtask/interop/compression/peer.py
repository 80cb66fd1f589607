"""Exchanges compressed messages with our example `compression`, by `websockets` or `aiohttp`.

`peer.py websockets|aiohttp client URL`: talks to our server with every offer that the library can make, then to the server
with every restriction of its own. `peer.py websockets|aiohttp serve`: serves on one port for every setting the library has,
prints a line `URL` for each, then `ready`, and sends messages back until it is ended.
"""

import asyncio
import itertools
import sys
import time

PROSE = "".join(f"{i} {i * i % 977} aé€😀\n" for i in range(20_000))
SIZES = [0, 1, 127, 128, 5_000, 300_000]
# Python's zlib cannot compress with a window of 8 bits, and both libraries find out too late.
WINDOWS = range(9, 16)


def messages():
    for size in SIZES:
        text = PROSE.encode()[:size]
        yield text
        if size < 300_000:
            yield text.decode(errors="ignore")


def of_our_server():
    """Every restriction that our server can put on a connection, and the libraries bear."""
    for send, receive in itertools.product(WINDOWS, WINDOWS):
        for sends, receives in itertools.product(["true", "false"], repeat=2):
            yield f"?send={send}&receive={receive}&send_takeover={sends}&receive_takeover={receives}"


class Refused(Exception):
    pass


async def talk_with_websockets(url, offer):
    from websockets.asyncio.client import connect

    options = {"compression": "deflate"} if offer is None else {"extensions": [offer], "compression": None}
    async with connect(url, max_size=None, **options) as socket:
        agreed = socket.response.headers.get("Sec-WebSocket-Extensions")
        if agreed is None:
            raise Refused()
        for message in messages():
            for sent in [message, message, [message[:7], message[7:], message[:0]]]:
                await socket.send(sent)
                received = await socket.recv()
                assert received == message, f"{len(message)} bytes sent, {len(received)} received"
        await socket.send("?")
        return agreed, await socket.recv()


def offers_of_websockets():
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    flags = itertools.product([False, True], repeat=2)
    for (server, client), server_bits, client_bits in itertools.product(
        flags, [None, *WINDOWS], [None, True, *WINDOWS]
    ):
        yield ClientPerMessageDeflateFactory(server, client, server_bits, client_bits)


async def talk_with_aiohttp(url, offer):
    import aiohttp

    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url, compress=offer or 15, max_msg_size=0) as socket:
            agreed = socket._response.headers.get("Sec-WebSocket-Extensions")
            if agreed is None:
                raise Refused()
            for message in messages():
                for _ in range(2):
                    if isinstance(message, str):
                        await socket.send_str(message)
                    else:
                        await socket.send_bytes(message)
                    received = (await socket.receive()).data
                    assert received == message, f"{len(message)} sent, {len(received)} received"
            await socket.send_str("?")
            return agreed, (await socket.receive()).data


async def client(library, url):
    talk = {"websockets": talk_with_websockets, "aiohttp": talk_with_aiohttp}[library]
    offers = list(offers_of_websockets()) if library == "websockets" else list(range(9, 16))
    begin, done, refused, failed = time.monotonic(), {}, 0, 0
    for suffix, offer in [("", offer) for offer in offers] + [(suffix, None) for suffix in of_our_server()]:
        try:
            agreed, outcome = await asyncio.wait_for(talk(url + suffix, offer), 60)
        except Refused:
            refused += 1
            continue
        except Exception as error:
            failed += 1
            print(f"FAILED: {suffix} {vars(offer) if hasattr(offer, '__dict__') else offer}: {str(error)[:300]!r}")
            continue
        done[agreed] = done.get(agreed, 0) + 1
        problem = bad(outcome)
        if problem:
            failed += 1
            print(f"FAILED: {suffix} {agreed}: {problem}: {outcome}")
    print(
        f"{library}, their client: {sum(done.values())} connections compressed with {len(done)} different agreements,"
        f" {refused} declined, {failed} failed, {time.monotonic() - begin:.0f} s"
    )
    return failed


def bad(outcome):
    """Whether too little was compressed: `send N bits, A to B bytes; receive N bits, C from D bytes`."""
    words = outcome.replace(", no takeover", "").split()
    sent, compressed, received, arrived = (int(words[i]) for i in (3, 5, 10, 12))
    if not 0 < compressed < 0.8 * sent:
        return "what our server sent"
    if not 0 < arrived < 0.8 * received:
        return "what their client sent"
    return None


async def serve_websockets():
    from websockets.asyncio.server import serve
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    for (server, client, require), server_bits, client_bits in itertools.product(
        itertools.product([False, True], repeat=3), [None, *WINDOWS], [None, *WINDOWS]
    ):
        if client_bits is None and require:
            continue
        factory = ServerPerMessageDeflateFactory(
            server, client, server_bits, client_bits, require_client_max_window_bits=require
        )
        listening = await serve(
            echo, "127.0.0.1", 0, extensions=[factory], compression=None, max_size=None
        )
        yield listening.sockets[0].getsockname()[1]


async def serve_aiohttp():
    from aiohttp import WSMsgType, web

    async def echo(request):
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type == WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket

    application = web.Application()
    application.add_routes([web.get("/", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield site._server.sockets[0].getsockname()[1]


async def serve(library):
    ports = {"websockets": serve_websockets, "aiohttp": serve_aiohttp}[library]
    async for port in ports():
        print(f"ws://127.0.0.1:{port}/")
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case [library, "client", url]:
            sys.exit(1 if asyncio.run(client(library, url)) else 0)
        case [library, "serve"]:
            asyncio.run(serve(library))
        case _:
            sys.exit(__doc__)
