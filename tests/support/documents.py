"""The documentation as tests read it: pages, fenced blocks, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.data import REPOSITORY

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"#.*\bexit (\d)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block: `info` is what stands behind the opening fence."""

    page: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"

    @property
    def commands(self) -> tuple[Command, ...]:
        """The lines after `$`, in order."""
        return tuple(Command.of(line[2:]) for line in self.text.splitlines() if line.startswith("$ "))


@dataclass(frozen=True)
class Command:
    """One command: its words, and the exit code that the page expects."""

    words: tuple[str, ...]
    exit_code: int

    @classmethod
    def of(cls, line: str) -> Command:
        """From `wmh-node db check  # exit 1: no tables yet`."""
        expected = _EXIT.search(line)
        return cls(tuple(shlex.split(line, comments=True)), int(expected[1]) if expected else 0)


def pages() -> list[Path]:
    """Every page that a reader may open, the repository's own and the site's."""
    top = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return top + sorted(path for path in (REPOSITORY / "docs").rglob("*.md") if "_build" not in path.parts)


def blocks() -> Iterator[Block]:
    """Every fenced block of every page, but for directives of the site (```{toctree})."""
    for page in pages():
        text = page.read_text("utf-8")
        for found in _FENCE.finditer(text):
            if not found["info"].startswith("{"):
                line = text.count("\n", 0, found.start()) + 1
                yield Block(page, line, found["info"].strip(), found["text"])
