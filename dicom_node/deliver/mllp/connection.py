"""MLLP (HL7 Transport Specification: MLLP, release 1): one message, one block each way, with or without TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dicom_node.node.destinations import MllpDestination
from dicom_node.node.errors import DeliveryError
from dicom_node.node.no_connection import no_connection
from dicom_node.node.tls import ClientTls, client_context, words_of

_START, _END = b"\x0b", b"\x1c\r"
_MOST_BYTES: Final = 1024 * 1024  # an acknowledgment has some hundred
_PIECE_BYTES: Final = 65536


@dataclass(frozen=True)
class MllpCall:
    """The receiver to call, and how.

    Attributes:
        destination: the receiver.
        tls: None without TLS.
        connect_seconds: until it has to be connected, handshake included.
        answer_seconds: until its whole acknowledgment has to be here.
    """

    destination: MllpDestination
    tls: ClientTls | None
    connect_seconds: float = 10.0
    answer_seconds: float = 60.0

    @property
    def where(self) -> str:
        """Host and port, for messages."""
        return f"{self.destination.host}:{self.destination.port}"


class NoConnection(DeliveryError):
    """Nothing was sent."""


class NoAnswer(DeliveryError):
    """It was sent, and no whole answer came: the receiver may have it."""


@contextlib.contextmanager
def connected(call: MllpCall) -> Iterator[socket.socket]:
    """A connection while the block lasts.

    Raises:
        NoConnection: with what to look at.
        ConfigurationError: TLS files that cannot be used.
    """
    context = None if call.tls is None else client_context(call.tls)
    destination = call.destination
    try:
        plain = socket.create_connection((destination.host, destination.port), call.connect_seconds)
    except (OSError, ValueError) as error:
        words = no_connection(error, destination.host, destination.port, "the HL7 receiver")
        raise NoConnection(words) from error
    with plain:
        if context is None:
            yield plain
            return
        try:
            secured = context.wrap_socket(plain, server_hostname=destination.host)
        except TimeoutError as error:
            raise NoConnection(f"TLS with {call.where}: no answer to the handshake; does it speak TLS?") from error
        except OSError as error:
            raise NoConnection(f"TLS with {call.where} failed: {words_of(error)}{_advice(error)}") from error
        with secured:
            yield secured


def exchange(connection: socket.socket, message: bytes, call: MllpCall) -> bytes:
    """Send one message and read the block that answers it.

    Raises:
        NoAnswer: the connection ended, or no whole block came in time.
    """
    until = time.monotonic() + call.answer_seconds
    received = bytearray()
    try:
        connection.settimeout(call.answer_seconds)
        connection.sendall(_START + message + _END)
        while True:
            start = received.find(_START)
            end = -1 if start < 0 else received.find(_END, start)
            if end >= 0:
                return bytes(received[start + 1 : end])
            if len(received) > _MOST_BYTES:
                raise NoAnswer(f"the answer of {call.where} is no MLLP block of at most {_MOST_BYTES} bytes")
            if (left := until - time.monotonic()) <= 0:  # a receiver may send a byte now and then for ever
                raise TimeoutError
            connection.settimeout(left)
            piece = connection.recv(_PIECE_BYTES)
            if not piece:
                what = "within its acknowledgment" if received else "without an acknowledgment"
                raise NoAnswer(f"{call.where} ended the connection {what}")
            received += piece
    except TimeoutError as error:
        what = "sent only a part of an acknowledgment" if received else "sent no acknowledgment"
        raise NoAnswer(f"{call.where} {what} in {call.answer_seconds:g} s") from error
    except OSError as error:
        words = words_of(error) if isinstance(error, ssl.SSLError) else "it ended"
        raise NoAnswer(f"the connection with {call.where} broke: {words}") from error


def _advice(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        mismatch = "mismatch" in error.verify_message
        return "; tls_check_name = false if it names no host on purpose" if mismatch else "; is tls_ca its CA?"
    return ""
