"""overlay.png: the pages one below the other, for a person. It shows no name and no ID."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom_node.node.files import write_whole
from dicom_node.results.pages.content import content_of_volume
from dicom_node.results.pages.layout import SIDE
from dicom_node.results.pages.lettering import LINE
from dicom_node.results.pages.pages import draw_pages
from segmentation.bundle import ModelIdentity
from segmentation.segment import Segmentation
from segmentation.volume import FlairVolume

_COMPRESSION: Final = 3  # of 9: more takes more than twice the time and saves little
_SEAM: Final = 4


def write_overlay(summary: Sequence[Dataset], path: Path) -> None:
    """Write overlay.png of what the PACS gets, whole or not at all.

    Args:
        summary: the pages, as `build_summary` gave them.
        path: where to write; its folder must exist.
    """
    pages = [Image.frombytes("RGB", (page.Columns, page.Rows), page.PixelData) for page in summary]
    write_whole(path, _one_below_the_other(pages))


def write_volume_overlay(
    volume: FlairVolume,
    affine_lps: NDArray[np.float64],
    segmentation: Segmentation,
    path: Path,
    model: ModelIdentity | None = None,
    flags: tuple[str, ...] = (),
) -> None:
    """Write overlay.png for a volume without DICOM.

    Args:
        volume: what was segmented.
        affine_lps: 4x4, (column, row, slice) indices to mm, LPS.
        segmentation: what was found.
        path: where to write; its folder must exist.
        model: named in the picture when given.
        flags: of reading, beside the segmentation's own.

    Raises:
        ResultError: the segmentation does not fit the volume.
    """
    content = content_of_volume(volume, affine_lps, segmentation, (*flags, *segmentation.flags), model)
    write_whole(path, _one_below_the_other(draw_pages(content)))


def _one_below_the_other(pages: Sequence[Image.Image]) -> bytes:
    """A PNG."""
    image = Image.new("RGB", (SIDE, len(pages) * (SIDE + _SEAM) - _SEAM), LINE)
    for number, page in enumerate(pages):
        image.paste(page, (0, number * (SIDE + _SEAM)))
    stream = BytesIO()
    image.save(stream, format="PNG", compress_level=_COMPRESSION)
    return stream.getvalue()
