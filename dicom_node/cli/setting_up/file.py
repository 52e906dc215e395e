"""The settings file with comments, as `wmh-node setup` writes it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dicom_node.node.files import make_folder, sync_folder


@dataclass(frozen=True)
class Part:
    """Settings that stand together, below a comment; one that is not set is shown as a comment."""

    comment: str
    examples: Mapping[str, str]


# One line for each setting: what stands there when it is not set.
_PARTS: Final = (
    Part("Who the node is: its AE title, when it receives and when it sends.", {"ae_title": '"WMHNODE"'}),
    Part(
        'Where it listens; bind = "0.0.0.0" is every address of this machine. A port below 1024 needs one more step:\n'
        "docs/administrator/deploy.md.",
        {"bind": '"127.0.0.1"', "dicom_port": "11112"},
    ),
    Part(
        "Who may send: AE titles, each with the address it calls from. Empty: anyone who reaches the port.",
        {"peers": '["SCANNER1@10.0.0.7", "PACS@10.0.0.5"]'},
    ),
    Part(
        "Where results go: NAME=AET@HOST:PORT or NAME=https://HOST/PATH, with options behind it (+commit, +verify,\n"
        "+tls, +legacy): docs/administrator/configure.md.",
        {"destinations": '["pacs=PACS@10.0.0.5:104+commit"]'},
    ),
    Part("Received instances and results.", {"storage": '"/var/lib/wmh-node"'}),
    Part(
        "Not set: SQLite in `storage`. A password does not belong into this file: let PostgreSQL know the user by the\n"
        "socket's peer, or use a pgpass file.",
        {"database_url": '"postgresql:///wmh_node"'},
    ),
)
ASKED: Final = tuple(name for part in _PARTS for name in part.examples)
_HEAD: Final = (
    "# Settings of wmh-node. `wmh-node config show` prints all of them, `wmh-node config check` tries them,\n"
    "# `wmh-node setup` asks again. All settings: docs/administrator/settings.md.\n"
)


def settings_text(values: Mapping[str, Any]) -> str:
    """The file's text.

    Args:
        values: what is set, as TOML reads it; settings that setup does not ask for stand at the end.
    """
    blocks = [_HEAD]
    for part in _PARTS:
        lines = [f"# {line}" for line in part.comment.splitlines()]
        for name, example in part.examples.items():
            lines.append(f"{name} = {_toml(values[name])}" if name in values else f"# {name} = {example}")
        blocks.append("\n".join(lines) + "\n")
    others = {name: value for name, value in values.items() if name not in ASKED}
    if others:
        kept = [f"{name} = {_toml(value)}" for name, value in others.items()]
        blocks.append("\n".join(["# Other settings.", *kept]) + "\n")
    return "\n".join(blocks)


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case list() | tuple():
            if not value:
                return "[]"
            return "[\n" + "".join(f"    {_toml(item)},\n" for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items()) + "}"
        case _:
            # TOML's basic strings have JSON's escapes; DEL is the one character that JSON leaves as it is.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")


def write_settings(path: Path, text: str) -> None:
    """Replace the file, whole; a file that was there keeps its rights and its group, which the node's user needs.

    The file of before, with its comments, stays beside it as `NAME.before`; a link stays a link.
    """
    path = path.resolve()
    make_folder(path.absolute().parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if path.exists():
                before = path.stat()
                os.fchmod(file.fileno(), before.st_mode & 0o777)
                with contextlib.suppress(PermissionError):  # only root may give a file away
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
            os.fsync(file.fileno())
        if path.exists():
            former = path.with_name(f"{path.name}.before")
            former.unlink(missing_ok=True)
            former.hardlink_to(path)  # the same file: its rights and its owner too
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.absolute().parent)
