"""Phantoms as DICOM, drawn once in a test run: a head takes seconds, and many tests send the same one."""

from __future__ import annotations

import shutil
from pathlib import Path

from support.once import made_once
from support.phantom_series import without_scalp

from dicom_node.demo.phantom.phantom import make_phantom
from dicom_node.demo.phantom.spec import PhantomSpec
from dicom_node.demo.phantom.writing import write_phantom_series


def phantom_files(spec: PhantomSpec, folder: Path, *, scalp: bool = True) -> list[Path]:
    """The phantom's series in `folder`, in slice order, with the truth beside it, as `write_phantom_series` gives it.

    `scalp=False`: the brain alone, as after skull stripping.
    """

    def draw(half: Path) -> None:
        phantom = make_phantom(spec)
        write_phantom_series(phantom if scalp else without_scalp(phantom), half)

    drawn = made_once(f"{spec} {scalp}", draw)
    folder.mkdir(parents=True, exist_ok=True)
    for path in drawn.iterdir():
        shutil.copyfile(path, folder / path.name)
    return sorted(folder / path.name for path in drawn.glob("*.dcm"))
