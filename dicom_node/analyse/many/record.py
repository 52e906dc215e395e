"""`segment.json` in a series' folder: that it is finished, and of what; the base of resuming."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from dicom_node.analyse.analysis import MEASUREMENTS_NAME
from dicom_node.analyse.many.inputs import InputSeries
from dicom_node.node.errors import UnreadableObject
from dicom_node.node.files import json_bytes, write_whole
from dicom_node.node.version import SOFTWARE_VERSION
from dicom_node.series.dicom.parsing import file_sha256
from segmentation.ensemble import Ensemble

NAME: Final = "segment.json"


@dataclass(frozen=True)
class Finished:
    """One finished series.

    Attributes:
        input_sha256: digest of the files, in no particular order.
        made_by: model digest, runtime, precision, software version and options.
        files: names of what was written into the folder; empty for a refused series.
        code, reason: why it was refused; empty for an analysed one.
    """

    input_sha256: str
    made_by: dict[str, Any]
    files: tuple[str, ...] = ()
    code: str = ""
    reason: str = ""

    @classmethod
    def read(cls, folder: Path) -> Finished | None:
        """What the folder says; None when it is not finished, or the record is damaged."""
        try:
            fields = json.loads((folder / NAME).read_text(encoding="utf-8"))
            found = cls(**{**fields, "files": tuple(fields["files"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return found if all(isinstance(name, str) and Path(name).name == name for name in found.files) else None

    def write(self, folder: Path) -> None:
        """Last of all: what it names is on disk by then."""
        write_whole(folder / NAME, json_bytes(asdict(self)))

    def measurements(self, folder: Path) -> dict[str, Any] | None:
        """Of an analysed series; None when a file of it is missing, so that it must be analysed again."""
        if not all((folder / name).is_file() for name in self.files):
            return None
        try:
            found: dict[str, Any] = json.loads((folder / MEASUREMENTS_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found


def remove_outdated(folder: Path) -> None:
    """Take away what an earlier run with another model or other options wrote; the record first."""
    earlier = Finished.read(folder)
    (folder / NAME).unlink(missing_ok=True)
    for name in () if earlier is None else earlier.files:
        (folder / name).unlink(missing_ok=True)


def input_digest(series: InputSeries) -> str:
    """SHA-256 over the digests of the files, sorted, so that neither names nor order count.

    Raises:
        UnreadableObject: a file cannot be read.
    """
    digests = sorted(file_sha256(path) for path in series.files)
    if not digests:
        raise UnreadableObject("no_dicom", "The series has no file.")
    known = {"shorter": series.is_shorter, "echoes": series.has_echoes}
    beside = [f"lost {len(series.lost)}", *(word for word, holds in known.items() if holds)]
    return hashlib.sha256("\n".join([*digests, *beside]).encode()).hexdigest()


def made_by(ensemble: Ensemble, options: Mapping[str, Any]) -> dict[str, Any]:
    """Everything beside the input that decides about the results."""
    return {
        "model_digest": ensemble.identity.digest,
        "runtime": ensemble.runtime,
        "precision": ensemble.precision,
        "software_version": SOFTWARE_VERSION,
        "options": dict(options),
    }
