"""TLS between the socket and the PDUs of one connection (PS3.15 B.12).

OpenSSL works on memory here, never on the socket: bytes come and go as they do without TLS, with the kernel's timeouts,
TCP_QUICKACK and `wake`, and one recv brings many records. The handshake runs in the connection's own thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from dicom_node.node.tls import words_of
from dicom_node.node.upper_layer.transport import Transport, TransportClosed, TransportTimeout

_HANDSHAKE_RECORD: Final = 0x16  # first byte of TLS (RFC 8446 5.1)
_FIRST_BUFFER_BYTES: Final = 8 * 1024
_BUFFER_BYTES: Final = 64 * 1024


class HandshakeFailed(Exception):
    """The peer does not speak TLS, or the two do not agree; says why."""


class TlsFailed(TransportClosed):
    """TLS ended the connection after the handshake, such as the alert of a peer that refuses our certificate."""


Wrap = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], ssl.SSLObject]
"""Begins TLS on memory: (incoming, outgoing) bytes."""


class SecureTransport(Transport):
    """A `Transport` over TLS; `handshake` comes first.

    Args:
        connection, send_timeout_seconds: see `Transport`.
        wrap: begins TLS, as the side that we are.
        is_server: whether the peer speaks first.
    """

    def __init__(
        self, connection: socket.socket, send_timeout_seconds: float, wrap: Wrap, *, is_server: bool = False
    ) -> None:
        super().__init__(connection, send_timeout_seconds)
        self._wrap = wrap
        self._is_server = is_server
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._read: Callable[[int, memoryview], int]
        self._records = memoryview(bytearray(_FIRST_BUFFER_BYTES))

    def handshake(self, deadline: float) -> str:
        """Agree on keys with the peer until `deadline` (`time.monotonic`), however it drips; gives version and cipher.

        Raises:
            HandshakeFailed: no TLS, or nothing that both accept; the peer got an alert.
            TransportClosed: the connection ended before anything came.
            TransportTimeout: it took too long.
        """
        tls = self._wrap(self._incoming, self._outgoing)
        came = False
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
            except ssl.SSLError as error:
                with contextlib.suppress(TransportClosed, TransportTimeout):
                    self._flush()  # the alert
                raise HandshakeFailed(words_of(error)) from error
            else:
                break
            try:
                count = self._receive_into(self._records, deadline - time.monotonic())
            except TransportClosed:
                if came and self._is_server:
                    raise HandshakeFailed(
                        "the peer closed the connection during the handshake: it may not trust our certificate"
                    ) from None
                raise
            if not came and self._is_server:
                self._require_tls(self._records[0])
            came = True
            self._incoming.write(self._records[:count])
        self._flush()
        self._tls = tls
        self._read = cast("Callable[[int, memoryview], int]", tls.read)  # typeshed knows its other face only
        self._records = memoryview(bytearray(_BUFFER_BYTES))
        name, version, _bits = tls.cipher() or ("", "", 0)
        return f"{tls.version() or version} {name}"

    def send(self, data: bytes) -> None:
        """Send everything, encrypted; raises as `Transport.send`."""
        assert self._tls is not None
        self._encrypt(self._tls, data)
        self._flush()

    def send_parts(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send buffers one after the other, encrypted; raises as `Transport.send`."""
        assert self._tls is not None
        for part in parts:
            self._encrypt(self._tls, part)
            if self._outgoing.pending > _BUFFER_BYTES:
                self._flush()
        self._flush()

    def _receive(self, seconds: float) -> None:
        """Decrypt what is there, or wait up to `seconds` for enough to decrypt."""
        deadline = time.monotonic() + seconds
        left = seconds
        while not self._decrypt():
            count = self._receive_into(self._records, left)
            self._incoming.write(self._records[:count])
            left = deadline - time.monotonic()

    def _decrypt(self) -> bool:
        """Put what can be decrypted behind what is buffered; whether there was anything."""
        before = self._end
        try:
            while self._end < len(self._buffer):
                room = self._view[self._end :]
                count = self._read(len(room), room)
                if count == 0:  # close_notify; what came before it counts first
                    if self._end == before:
                        raise TransportClosed("the connection was closed")
                    break
                self._end += count
        except ssl.SSLWantReadError:
            self._flush()  # an answer of TLS itself, such as new keys
        except ssl.SSLError as error:
            raise TlsFailed(words_of(error)) from None
        return self._end > before

    def _say_goodbye(self) -> None:
        """close_notify (RFC 8446 6.1), without waiting for the peer's."""
        tls, self._tls = self._tls, None
        if tls is not None:
            with contextlib.suppress(ssl.SSLError):
                tls.unwrap()
            with contextlib.suppress(OSError):
                self._socket.send(self._outgoing.read(), socket.MSG_DONTWAIT)

    def close(self) -> None:
        """Close the connection."""
        self._say_goodbye()
        super().close()

    def _encrypt(self, tls: ssl.SSLObject, data: bytes | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[tls.write(view) :]
        except ssl.SSLError as error:
            raise TransportClosed(words_of(error)) from None

    def _flush(self) -> None:
        if self._outgoing.pending:
            super().send(self._outgoing.read())

    @staticmethod
    def _require_tls(first: int) -> None:
        """Say plainly what many will try: OpenSSL calls it a wrong version number."""
        if first == 0x01:
            raise HandshakeFailed(
                "an association request without TLS on the port for TLS: "
                "turn TLS on at the sender, or let it send to the port without"
            )
        if first != _HANDSHAKE_RECORD:
            raise HandshakeFailed(f"expected a TLS handshake, got something else (first byte {first:#04x})")
