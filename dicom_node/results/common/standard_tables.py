"""highdicom's table of the attributes of every DICOM module (PS3.3), read module by module.

highdicom parses all 436 modules, 22 MB of JSON, when the first object is built, and keeps them: 0.85 s of CPU time and
62 MB. A result set asks for some thirty, those of MR images, SEG and SR. What each says is the same.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from highdicom import _standard_utils

_FUNCTION: Final = "get_module_attribute_map"
_FILE: Final = Path(_standard_utils.__file__).parent / "_standard/module_attribute_map.json"
_MEMBER: Final = b'\n  "'  # deeper lines begin with more spaces


class ModuleTable(Mapping[str, list[dict[str, Any]]]):
    """Attributes by the name of the module; a module is read from the file when it is first asked for.

    Args:
        file: JSON: one object, each of its members beginning on a line of its own, after two spaces.
    """

    def __init__(self, file: Path) -> None:
        content = file.read_bytes()
        starts = []
        place = content.find(_MEMBER)
        while place >= 0:
            starts.append(place)
            place = content.find(_MEMBER, place + 1)
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}
        for start, end in zip(starts, [*starts[1:], content.rindex(b"}")], strict=True):
            colon = content.index(b":", start)
            self._places[json.loads(content[start:colon])] = (colon + 1, end)
        self._known: dict[str, list[dict[str, Any]]] = {}

    def __getitem__(self, name: str) -> list[dict[str, Any]]:
        """What a module has."""
        if name not in self._known:
            start, end = self._places[name]
            with self._file.open("rb") as stream:
                stream.seek(start)
                self._known[name] = json.loads(stream.read(end - start).rstrip().removesuffix(b","))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        """Every module."""
        return iter(self._places)

    def __len__(self) -> int:
        """Modules."""
        return len(self._places)


def read_modules_when_asked() -> None:
    """Let highdicom use a `ModuleTable`; without effect on a version of it that keeps no such table."""
    own = getattr(_standard_utils, _FUNCTION, None)
    if own is None or isinstance(own, partial) or not _FILE.is_file():
        return
    lazy = partial(_table, own)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "highdicom" and getattr(module, _FUNCTION, None) is own:
            setattr(module, _FUNCTION, lazy)


@cache
def _table(own: Callable[[], Mapping[str, list[dict[str, Any]]]]) -> Mapping[str, list[dict[str, Any]]]:
    return ModuleTable(_FILE) or own()
