"""HL7 receivers on loopback: the server of the library hl7, and one that answers with bytes as a test says."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import hl7
from hl7.mllp import start_hl7_server

Answer = Callable[[hl7.Message], hl7.Message]


def accept(message: hl7.Message) -> hl7.Message:
    """AA."""
    return message.create_ack("AA")


@contextmanager
def mllp_server(
    answer: Answer = accept, context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[hl7.Message]]]:
    """The asyncio server of hl7; gives its port and the messages that it has read."""
    received: list[hl7.Message] = []
    loop = asyncio.new_event_loop()
    ready, ports = threading.Event(), []

    async def one(reader: object, writer: object) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                message = await reader.readmessage()  # type: ignore[attr-defined]
                received.append(message)
                writer.writemessage(answer(message))  # type: ignore[attr-defined]
                await writer.drain()  # type: ignore[attr-defined]

    async def run() -> None:
        server = await start_hl7_server(one, "127.0.0.1", 0, encoding="utf-8", ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
        stop = asyncio.Event()
        stops.append(stop)
        ready.set()
        await stop.wait()
        server.close()

    stops: list[asyncio.Event] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield ports[0], received
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join(20)


@contextmanager
def raw_server(answer: bytes | Callable[[bytes], bytes], *, hold: bool = False) -> Iterator[int]:
    """A server that reads one block, writes these bytes, and ends the connection; `hold`: only with the test."""
    listening = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection:
                    block = b""
                    while not block.endswith(b"\x1c\r") and (piece := connection.recv(65536)):
                        block += piece
                    connection.sendall(answer(block) if callable(answer) else answer)
                    if hold:
                        done.wait(30)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        done.set()
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(20)
