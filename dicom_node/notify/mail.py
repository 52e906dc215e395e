"""Mail by SMTP (RFC 5321), over TLS unless the settings say otherwise."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Final, Literal

from dicom_node.node.mail_settings import SUBMISSION_PORT, SUBMISSIONS_PORT, split_server
from dicom_node.node.no_connection import no_connection
from dicom_node.node.secret_values import secret_value
from dicom_node.node.settings import Settings
from dicom_node.node.tls import ClientTls, TlsFiles, client_context
from dicom_node.notify.errors import NotTaken
from dicom_node.notify.message import Message

_SECONDS: Final = 30.0


@dataclass(frozen=True)
class MailChannel:
    """A mail server and the people to write to.

    Attributes:
        security: STARTTLS (RFC 3207), TLS from the start (RFC 8314), or neither.
        user: logs in with the password of `secret_value`; None: no login.
    """

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    recipients: tuple[str, ...]
    user: str | None = None
    password_file: Path | None = None
    ca: Path | None = None
    name: str = "mail"
    # Recipients that have a message which others have yet to take: they get it once. Gone after a restart.
    _have: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> MailChannel:
        """From the settings, which have a mail server."""
        assert settings.mail_server is not None
        default = SUBMISSIONS_PORT if settings.mail_security == "tls" else SUBMISSION_PORT
        host, port = split_server(settings.mail_server, default)
        return cls(
            host,
            port,
            settings.mail_security,
            settings.mail_from or f"wmh-node@{socket.getfqdn()}",
            settings.mail_to,
            settings.mail_user,
            settings.mail_password_file,
            settings.notify_tls_ca,
        )

    def check(self) -> str:
        """What it would use, in words; connects to nothing.

        Raises:
            ConfigurationError: the password or the CA cannot be read.
        """
        self._password()
        if self.security != "none":
            self._tls()
        return f"{', '.join(self.recipients)} by {self.host}:{self.port} ({self.security})"

    def send(self, message: Message) -> str | None:
        """Hand the message to the server; returns what it said besides, such as an address that it does not take.

        Raises:
            NotTaken: it did not take it.
            ConfigurationError: the password or the CA cannot be read.
        """
        password = self._password()
        have = self._have.get(message.event_id, frozenset())
        try:
            # Not the connection's own block: it raises when the answer to QUIT is not 221, and the mail went twice.
            with closing(self._connection()) as server:
                if self.security == "starttls":
                    server.starttls(context=self._tls())
                if self.user is not None and password is not None:
                    server.login(self.user, password)
                to = [recipient for recipient in self.recipients if recipient not in have]
                refused = server.send_message(self._mail(message), self.sender, to)
                with suppress(smtplib.SMTPException, OSError):
                    server.quit()
        except (smtplib.SMTPException, OSError) as error:
            raise NotTaken(self._words(error)) from error
        if later := sorted(
            recipient for recipient, (code, _) in refused.items() if code < 500
        ):  # RFC 5321 4.2.1: try again
            self._have[message.event_id] = have | (set(to) - set(later))
            raise NotTaken(f"{self.host} does not take mail for {', '.join(later)} for now")
        self._have.pop(message.event_id, None)
        if refused:
            return f"{self.host} does not take mail for {', '.join(sorted(refused))}"
        return None

    def _connection(self) -> smtplib.SMTP:
        if self.security == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=_SECONDS, context=self._tls())
        return smtplib.SMTP(self.host, self.port, timeout=_SECONDS)

    def _tls(self) -> ssl.SSLContext:
        return client_context(ClientTls(TlsFiles(ca=self.ca)))

    def _password(self) -> str | None:
        if self.user is None:
            return None
        return secret_value("mail", "mail", self.password_file, "WMH_NODE_MAIL_USER", "the password")

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = Address("wmh-node", addr_spec=self.sender)
        mail["To"] = [Address(addr_spec=recipient) for recipient in self.recipients]
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(message.at)
        # The same at every attempt: a server that took it and could not say so gets no second mail to deliver.
        mail["Message-ID"] = f"<{message.event_id}@{self.sender.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        mail.set_content(message.text)
        return mail

    def _words(self, error: Exception) -> str:
        where = f"{self.host}:{self.port}"
        for kind, words in self._words_by_error().items():
            if isinstance(error, kind):
                return f"{where} {words}".replace("CODE", str(getattr(error, "smtp_code", "none")))
        return no_connection(error, self.host, self.port, "the mail server")

    def _words_by_error(self) -> dict[type[Exception], str]:
        """The first that fits counts: the special ones come before the general ones."""
        offered = "STARTTLS" if self.security == "starttls" else "a login"
        return {
            smtplib.SMTPAuthenticationError: f"does not accept the login of {self.user}: check it and its password",
            smtplib.SMTPNotSupportedError: f"does not offer {offered}: check WMH_NODE_MAIL_SECURITY",
            smtplib.SMTPRecipientsRefused: f"takes mail for none of {', '.join(self.recipients)}: "
            "check WMH_NODE_MAIL_TO",
            smtplib.SMTPSenderRefused: f"takes no mail from {self.sender} (code CODE): check WMH_NODE_MAIL_FROM",
            smtplib.SMTPResponseException: "answered with code CODE: its log says more",
            smtplib.SMTPException: "ended the connection, or its answer is no SMTP: check WMH_NODE_MAIL_SERVER",
            ssl.SSLCertVerificationError: "has a certificate that is not accepted: is WMH_NODE_NOTIFY_TLS_CA its CA?",
            ssl.SSLError: "did not agree on TLS: check WMH_NODE_MAIL_SECURITY and the port",
        }
