"""The listening socket and its connections: one thread each, all asleep in the kernel until something comes."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dicom_node.node.errors import ReceivingError
from dicom_node.node.logger import get_logger
from dicom_node.node.tls import ServerContext
from dicom_node.node.upper_layer.pdu import TEMPORARY_CONGESTION, encode_rejection
from dicom_node.receive.association import Association, ReceiverContext

_LOG = get_logger()

_BACKLOG: Final = 256
_NO_LISTENER: Final = {errno.EINVAL, errno.EBADF, errno.ENOTSOCK}
_OUT_OF_DESCRIPTORS: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def open_listener(bind: str, port: int, setting: str = "dicom_port") -> socket.socket:
    """Bind and listen; `setting` names the port in an error.

    Without SO_REUSEPORT: with it, a stray process of the same user could sit on the port and take every second
    association. Several receiver processes share this one socket by inheriting it.

    Raises:
        ReceivingError: the port is taken, or the address is not ours.
    """
    family, kind, protocol, _name, address = _resolve(bind, port)
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and bind == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} on {bind} is used by another program: stop it, or set {setting} to a free port"
            raise ReceivingError(message) from error
        raise ReceivingError(f"cannot listen on {bind} port {port}: {error.strerror}") from error
    return listener


def _resolve(bind: str, port: int) -> tuple[int, int, int, str, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ReceivingError(f"cannot listen on {bind!r}: {error.strerror}; set bind to a local address") from error
    return found[0]  # type: ignore[return-value]


@dataclass(frozen=True)
class Listener:
    """A socket that listens; `tls` None: for DICOM without TLS."""

    socket: socket.socket
    tls: ServerContext | None = None


class Acceptor:
    """Accepts connections until stopped.

    Other processes may accept from the same socket. So it is never shut down here, which would end it for all of them;
    a pipe wakes our thread instead.

    Args:
        listeners: one or more sockets that listen.
        context: what the associations share.
        ended: called from the accepting thread when it ends without `stop`: a receiver that is deaf must not look well.
    """

    def __init__(
        self, listeners: Sequence[Listener], context: ReceiverContext, ended: Callable[[], object] = lambda: None
    ) -> None:
        self._listeners = {listener.socket.fileno(): listener for listener in listeners}
        for listener in listeners:
            # Several processes wake for one connection; those that come too late must not sleep in accept().
            listener.socket.setblocking(False)
        self._context = context
        self._ended = ended
        self._stopping = False
        self._wake_reader, self._wake_writer = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._accept_until_stopped, name="acceptor", daemon=True)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def stop(self, grace_seconds: float) -> None:
        """Accept no more, let objects under way finish within `grace_seconds`, then abort the rest."""
        self._stopping = True
        os.write(self._wake_writer, b"x")
        self._thread.join()
        # Our handles alone: what waits in the backlog goes to the processes that share the socket, if there are any.
        for listener in self._listeners.values():
            listener.socket.close()
        for descriptor in (self._wake_reader, self._wake_writer):
            os.close(descriptor)
        self._each(lambda association: association.stop())
        if not self._context.connections.wait_until_empty(grace_seconds):
            self._each(lambda association: association.evict("the receiver is stopping"))
            self._context.connections.wait_until_empty(1.0)

    def _each(self, call: Callable[[Association], None]) -> None:
        for occupant in self._context.connections.all():
            assert isinstance(occupant, Association)
            call(occupant)

    def _accept_until_stopped(self) -> None:
        try:
            self._accept_all()
        finally:
            if not self._stopping:
                self._ended()

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._wake_reader, select.POLLIN)
        for descriptor in self._listeners:
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = poll.poll()
            if self._stopping:
                return
            for descriptor, _events in ready:
                if descriptor in self._listeners and not self._accept(self._listeners[descriptor]):
                    return

    def _accept(self, listener: Listener) -> bool:
        """Accept one connection and begin with it; False when the socket does not listen any more."""
        try:
            connection, address = listener.socket.accept()
        except BlockingIOError:  # another process was quicker
            return True
        except OSError as error:
            if error.errno in _NO_LISTENER:
                _LOG.error("the listening socket has ended", reason=error.strerror)
                return False
            # A connection that was reset before we came, or no descriptors left for a moment.
            if error.errno in _OUT_OF_DESCRIPTORS:
                _LOG.warning("cannot accept a connection", reason=error.strerror)
                time.sleep(0.1)
            return True
        self._begin(connection, str(address[0]).partition("%")[0], listener.tls)
        return True

    def _begin(self, connection: socket.socket, address: str, tls: ServerContext | None) -> None:
        """Start the connection's thread; nothing is read here, nor any handshake done."""
        try:
            if self._stopping:
                if tls is None:
                    connection.sendall(encode_rejection(TEMPORARY_CONGESTION))
                connection.close()
                return
            association = Association(connection, address, self._context, tls)
            self._context.connections.admit(association)
        except OSError:  # gone already
            connection.close()
            return
        try:
            threading.Thread(target=association.run, name=f"association {address}", daemon=True).start()
        except RuntimeError:  # no more threads
            _LOG.warning("cannot start a thread for a connection")
            self._context.connections.remove(association)
            connection.close()
