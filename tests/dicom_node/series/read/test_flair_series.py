"""What a read series tells the segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from dicom_node.series.read.flair_series import FlairSeries, SourceFrame


@pytest.mark.parametrize(
    ("along_columns", "columns_to_left"),
    [((1, 0, 0), True), ((-0.98, 0.2, 0), False), ((0.8, 0.6, 0), True), ((0, 1, 0), None), ((-0.6, 0.8, 0), None)],
)
def test_the_side_of_the_columns(along_columns: tuple[float, float, float], columns_to_left: bool | None) -> None:
    """Columns that run to +x run to the patient's left (LPS, PS3.3 C.7.6.2.1.1); those that run along the head to
    neither side."""
    affine = np.eye(4)
    affine[:3, 0] = np.multiply(along_columns, 0.5)
    series = FlairSeries(
        stored=np.ones((1, 4, 4), np.float32), affine=affine, spacing_mm=(5.0, 0.5, 0.5),
        frames=(SourceFrame("1.2", "1.2.840.10008.5.1.4.1.1.4", None),), headers=(), series_instance_uid="1.2.3",
        study_instance_uid="1.2.4", frame_of_reference_uid="1.2.5", instances_digest="0" * 64, files_digest="0" * 64,
        flags=(),
    )  # fmt: skip
    assert series.volume().columns_to_left is columns_to_left
