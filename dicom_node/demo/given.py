"""What the demo sends: a phantom, or the user's own DICOM."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicom_node.node.errors import NotFlair
from dicom_node.node.progress import StageProgress
from dicom_node.series.dicom.folder import find_series


@dataclass(frozen=True)
class Given:
    """Files to send, and the phantom's truth (the content of its truth.json) when they are the phantom's."""

    files: tuple[Path, ...]
    truth: dict[str, Any] | None


def given(folder: Path | None, phantom_folder: Path, progress: StageProgress) -> Given:
    """The files under `folder`; without one, a phantom made in `phantom_folder` (stage "phantom").

    Raises:
        NotFlair: there is no DICOM image series under `folder`.
    """
    if folder is None:
        return _phantom(phantom_folder, progress)
    files = tuple(path for series in find_series([folder]).series for path in series.paths)
    if not files:
        raise NotFlair("no_series", f"No DICOM image series was found under {folder}.")
    return Given(files, None)


def _phantom(folder: Path, progress: StageProgress) -> Given:
    # Imported here: SciPy is of no use to a user's own DICOM.
    from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
    from dicom_node.demo.phantom.writing import write_phantom_series

    progress("phantom", 0, 1)
    files = tuple(write_phantom_series(make_phantom(PhantomSpec()), folder))
    progress("phantom", 1, 1)
    return Given(files, json.loads((folder / "truth.json").read_text("utf-8")))
