"""TLS for pynetdicom's SCU: it logs why a handshake failed, and forgets it. Here the reason is kept."""

from __future__ import annotations

import ssl

from dicom_node.node.tls import ClientTls, set_up_client, words_of

_QUESTION = "does it speak TLS on this port?"


class ReasonedContext(ssl.SSLContext):
    """A client's context that keeps the reason why its connection failed; for one association."""

    reason: str = ""


class SecureSocket(ssl.SSLSocket):
    """Notes in its context what goes wrong with the handshake, on our side or, in TLS 1.3 later on, on the peer's."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands within the socket's timeout."""
        try:
            super().do_handshake(block)
        except OSError as error:
            self._note(error)
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive; an alert of the peer is an error."""
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self._note(error)
            raise

    def _note(self, error: OSError) -> None:
        context = self.context
        assert isinstance(context, ReasonedContext)
        if isinstance(error, ssl.SSLError):
            context.reason = f"TLS: {words_of(error)}{_advice(error)}"
        elif isinstance(error, TimeoutError):
            context.reason = f"TLS: no answer to the handshake in time; {_QUESTION}"
        elif isinstance(error, ConnectionError):
            context.reason = f"TLS: the peer left during the handshake; {_QUESTION}"


def reasoned_context(tls: ClientTls) -> ReasonedContext:
    """A context for one association by the rules of `dicom_node.node.tls`, keeping the reason of a failure.

    Raises:
        ConfigurationError: a file cannot be read or used.
    """
    context = ReasonedContext(ssl.PROTOCOL_TLS_CLIENT)
    set_up_client(context, tls)
    context.sslsocket_class = SecureSocket
    return context


def _advice(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and "mismatch" in error.verify_message:
        return "; tls_check_name = false if it names no host on purpose"
    return ""
