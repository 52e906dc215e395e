"""One TCP connection: blocking reads that the kernel times, PDUs whole or refused, acknowledgements at once.

No polling: a thread sleeps in recv() until bytes, the end or the timeout (SO_RCVTIMEO) come.

TCP_QUICKACK is set again after each recv, since Linux drops it whenever it likes: most senders leave Nagle's algorithm
on and wait with the rest of a PDU until its first part is acknowledged, which a delayed ACK puts off for 40 ms.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from typing import Final

from dicom_node.node.upper_layer.pdu import HEADER_BYTES, PduType, check_header

_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux
_FIRST_BUFFER_BYTES: Final = 8 * 1024
_LINGER_BYTES: Final = 4 * 1024 * 1024


class TransportClosed(Exception):
    """The peer closed or reset the connection, or it was shut from our side."""


class TransportTimeout(Exception):
    """Nothing came, or nothing could be sent, for as long as was allowed."""


class Transport:
    """Reads PDUs from and writes bytes to one connected socket."""

    def __init__(self, connection: socket.socket, send_timeout_seconds: float) -> None:
        self._socket = connection
        self._buffer = bytearray(_FIRST_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        self._timeout = -1.0
        self.received_bytes = 0  # so far, from the network
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _keep_alive(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(send_timeout_seconds))

    def handshake(self, deadline: float) -> str:
        """What comes before the first PDU: nothing without TLS. Gives what was agreed on, for the log."""
        return ""

    def read_pdu(
        self, silence_seconds: float, max_data_bytes: int, artim: float | None = None
    ) -> tuple[PduType, memoryview]:
        """The next PDU: its kind and its body, which is valid until the next call.

        Args:
            silence_seconds: how long the first byte may take, and then the rest of the PDU in however many pieces
                (up to twice as long when the pieces drip).
            max_data_bytes: largest body of a P-DATA-TF; a larger one is refused before any of it is buffered.
            artim: when the whole PDU must be there (`time.monotonic`), however it comes; None for no such limit.

        Raises:
            InvalidPdu: unknown type or a length that is not allowed.
            TransportClosed: the connection ended, also in the middle of a PDU.
            TransportTimeout: it took too long.
        """
        if self._end == self._start:
            self._start = self._end = 0
            self._receive(silence_seconds if artim is None else artim - time.monotonic())
        if self._end - self._start < HEADER_BYTES:
            self._receive_until(HEADER_BYTES, silence_seconds, artim)
        kind, length = check_header(self._view[self._start : self._end], max_data_bytes)
        total = HEADER_BYTES + length
        if self._end - self._start < total:
            self._receive_until(total, silence_seconds, artim)
        body = self._view[self._start + HEADER_BYTES : self._start + total]
        self._start += total
        return kind, body

    def _receive_until(self, total: int, silence_seconds: float, artim: float | None) -> None:
        """Receive until `total` bytes of the present PDU are buffered.

        The kernel's timeout stays the same from recv to recv, which saves a system call each, unless ARTIM runs.
        """
        self._reserve(total)
        deadline = time.monotonic() + silence_seconds if artim is None else artim
        while self._end - self._start < total:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TransportTimeout("a PDU was not complete in time")
            self._receive(silence_seconds if artim is None else left)

    def send(self, data: bytes) -> None:
        """Send everything.

        Raises:
            TransportClosed: the peer is gone.
            TransportTimeout: the peer does not read.
        """
        try:
            self._socket.sendall(data)
        except BlockingIOError:
            raise TransportTimeout("the peer does not read our answer") from None
        except OSError as error:
            raise TransportClosed(str(error)) from None

    def send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send buffers one after the other, which the kernel gathers; at most 1024 of them. Raises as `send`."""
        left = sum(map(len, parts))
        try:
            left -= self._socket.sendmsg(parts)
            if left:  # a signal, or a peer that reads slowly
                self._socket.sendall(b"".join(parts)[-left:])
        except BlockingIOError:
            raise TransportTimeout("the peer does not read what we send") from None
        except OSError as error:
            raise TransportClosed(str(error)) from None

    def wake(self) -> None:
        """End a read that another thread is in: it sees the connection as closed."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)

    def linger(self, seconds: float) -> None:
        """Say that nothing more comes from us, and throw away what still comes until the peer closes (Sta13).

        Without it, unread bytes make the kernel reset the connection, and the peer may never see our last PDU. Bounded
        in time and bytes.
        """
        with contextlib.suppress(OSError, TransportClosed, TransportTimeout):
            self._say_goodbye()
            self._socket.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + seconds
            thrown_away = 0
            while thrown_away < _LINGER_BYTES:
                thrown_away += self._receive_into(self._view, deadline - time.monotonic())

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _say_goodbye(self) -> None:
        """Last words before our side is shut: none without TLS."""

    def _receive(self, seconds: float) -> None:
        """Receive something behind what is buffered, within `seconds`."""
        self._end += self._receive_into(self._view[self._end :], seconds)

    def _receive_into(self, room: memoryview, seconds: float) -> int:
        """One recv of at least a byte; sleeps in the kernel for `seconds` at most."""
        if seconds <= 0:
            raise TransportTimeout("timeout")
        if seconds != self._timeout:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))
            self._timeout = seconds
        try:
            count = self._socket.recv_into(room)
            if _QUICKACK is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except BlockingIOError:
            raise TransportTimeout("nothing received in time") from None
        except OSError as error:
            raise TransportClosed(str(error)) from None
        if count == 0:
            raise TransportClosed("the connection was closed")
        self.received_bytes += count
        return count

    def _reserve(self, total: int) -> None:
        """Make room for a PDU of `total` bytes from `_start` on; `total` has been checked against the limits."""
        if self._start + total <= len(self._buffer):
            return
        kept = self._end - self._start
        if total > len(self._buffer):
            grown = bytearray(total + HEADER_BYTES)
            grown[:kept] = self._view[self._start : self._end]
            self._buffer, self._view = grown, memoryview(grown)
        else:
            self._buffer[:kept] = bytes(self._view[self._start : self._end])
        self._start, self._end = 0, kept


def _keep_alive(connection: socket.socket) -> None:
    """Notice a peer that has gone without a word after a minute; Linux would begin to ask after two hours."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _timeval(seconds: float) -> bytes:
    """A struct timeval; never zero, which would mean no timeout at all."""
    microseconds = max(int(seconds * 1_000_000), 1000)
    return struct.pack("ll", microseconds // 1_000_000, microseconds % 1_000_000)
