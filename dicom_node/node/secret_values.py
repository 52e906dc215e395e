"""Secrets: in a file, an environment variable or a credential of systemd; never a setting, never in a message."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from dicom_node.node.errors import ConfigurationError

SECRET_PREFIX: Final = "WMH_NODE_SECRET_"  # noqa: S105 - a name
"""Environment variables with a secret: the name of its owner in capitals, `-` and `.` as `_`."""
_CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"  # systemd's LoadCredential=
_MOST_SECRET_BYTES: Final = 64 * 1024


def secret_value(owner: str, name: str, given: Path | None, needed_for: str, what: str) -> str:
    """A secret, read at each use, so that a new one counts at once.

    Looked for in the file of the settings, then in the environment (`WMH_NODE_SECRET_<NAME>`), then in systemd's
    credentials (`<name>.secret`).

    Args:
        owner: whose it is, for messages.
        name: as it stands in the variable and the credential.
        given: the file of the settings.
        needed_for, what: the option that needs it, and what the variable has to hold, for messages.

    Raises:
        ConfigurationError: there is none, or the file cannot be read; the secret itself is in no message.
    """
    variable = SECRET_PREFIX + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
    file = given
    if file is None and (value := os.environ.get(variable, "").strip()):
        return _printable(value, owner, variable)
    if file is None and (folder := os.environ.get(_CREDENTIALS_VARIABLE)):
        file = Path(folder) / f"{name}.secret"
    if file is None or (given is None and not file.exists()):
        setting = _FILE_SETTING.get(name, "secret_file")
        raise ConfigurationError(
            f"{owner}: no secret for {needed_for}: set {variable} to {what}, or {setting} to a file that holds it"
        )
    try:
        value = file.read_bytes()[:_MOST_SECRET_BYTES].decode("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{owner}: cannot read its secret in {file}: {why}") from error
    if not value:
        raise ConfigurationError(f"{owner}: the file of its secret is empty: {file}")
    return _printable(value, owner, str(file))


_FILE_SETTING: Final = {
    "mail": "WMH_NODE_MAIL_PASSWORD_FILE",
    "webhook": "WMH_NODE_WEBHOOK_SECRET_FILE",
    "object_store": "WMH_NODE_OBJECT_STORE_SECRET_FILE",
    "oidc": "WMH_NODE_WEB_OIDC_SECRET_FILE",
}


def _printable(value: str, owner: str, where: str) -> str:
    """A header takes one line of printable characters (RFC 9110 5.5)."""
    if not (value.isprintable() and value.isascii()):
        raise ConfigurationError(f"{owner}: expected one line of printable ASCII characters in {where}, got others")
    return value
