"""Content from other people: its files are read, and its text is shown, without trust."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from segmentation.errors import BadBundle

# Never through a link, and never waiting for a writer of a pipe.
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# C0, DEL and C1: a terminal interprets them. Newline and tab do no harm.
_CONTROLS: Final = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"
}


def printable(text: str) -> str:
    """The text with a replacement character for each control character that a terminal would interpret."""
    return text.translate(_CONTROLS)


def read_plain_file(path: Path, limit: int) -> bytes:
    """Read a file of a bundle, whole; never more than `limit` bytes, whatever the file is.

    Raises:
        BadBundle: it is missing, a link, no plain file, too large, grows while it is read, or cannot be read.
    """
    try:
        descriptor = os.open(path, _FLAGS)
        try:
            return _read_open(descriptor, path.name, limit)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise BadBundle(f"{path.name} is missing in bundle folder {path.parent.name}") from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadBundle(
                f"{path.name}: expected a plain file, got a link: copy the bundle with what its links lead to (cp -rL)"
            ) from error
        raise BadBundle(f"{path.name} cannot be read: {error.strerror}") from error


def _read_open(descriptor: int, name: str, limit: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise BadBundle(f"{name}: expected a plain file, got a folder, pipe or device")
    if status.st_size > limit:
        raise BadBundle(f"expected {name} of at most {limit} bytes, got {status.st_size}")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        content = file.read(status.st_size + 1)
    if len(content) > status.st_size:
        raise BadBundle(
            f"{name}: expected {status.st_size} bytes, got more: another program is still writing it, try again later"
        )
    return content
