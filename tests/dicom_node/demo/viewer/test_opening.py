"""Which image the viewer opens on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.result_cases import CASES, result_set_of, segmentation_of, series_of

from dicom_node.demo.viewer.opening import fullest_image
from dicom_node.results.result_set import write_result_set


def test_it_is_the_slice_with_most_wmh(tmp_path: Path) -> None:
    """The source of the fullest frame of the SEG; nothing where the SEG is empty."""
    series = series_of(CASES[0], tmp_path / "in")
    for empty in (False, True):
        folder = tmp_path / str(empty)
        folder.mkdir()
        segmentation = segmentation_of(series, empty=empty)
        write_result_set(result_set_of(series, segmentation), folder)
        fullest = int(np.count_nonzero(segmentation.mask, axis=(1, 2)).argmax())
        expected = None if empty else series.frames[fullest].sop_instance_uid
        assert fullest_image(folder / "seg.dcm") == expected
