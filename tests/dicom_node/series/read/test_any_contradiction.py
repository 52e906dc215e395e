"""Any contradiction of the header, and any order of files and numbers: the same head, a flag, or a refusal by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from support.phantom_series import phantom_series, pixels, save_series

from dicom_node.node.errors import NotAnalysable
from dicom_node.series.read.head import require_head
from dicom_node.series.read.scan import require_scan
from dicom_node.series.read.series import read_series

_COUNT = 10
_STEP_MM = 8.0
_NAMES = {
    "bits": "BitsStored|HighBit|BitsAllocated|PixelRepresentation",
    "largest": "PixelValue",
    "smallest": "PixelValue",
    "spacing": "SpacingBetweenSlices",
    "frames": "NumberOfFrames|frames",
    "size": "Rows x Columns",
}

# What the header claims, by the thing that it claims it of; None leaves the right value, or none.
_CLAIMS = st.fixed_dictionaries(
    {
        "bits": st.none() | st.tuples(st.sampled_from([8, 10, 12, 14, 16]), st.sampled_from([None, 7, 11, 15]),
                                      st.booleans()),
        "largest": st.sampled_from([None, 0, 100, 4095, 65535]),
        "smallest": st.sampled_from([None, 0, 50, 65535]),
        "spacing": st.sampled_from([None, "0", "1", "-8", "2", "4", "8", "16", "1e30", "nan", ""]),
        "thickness": st.sampled_from([None, "1", "4", "16"]),
        "frames": st.sampled_from([None, None, None, "1", "2", "10", "0"]),
        "size": st.sampled_from([None, None, None, (32, 64), (64, 32), (64, 128), (128, 32), (32, 128)]),
    }
)  # fmt: skip
_NUMBERS = st.none() | st.permutations(range(1, _COUNT + 1)) | st.just([1] * _COUNT)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new folder for each example."""
    above = tmp_path_factory.mktemp("claims")
    return (above / str(number) for number in itertools.count())


def _claim(series: list[Dataset], claims: dict[str, Any], numbers: list[int] | None) -> None:
    for place, dataset in enumerate(series):
        dataset.pop("InstanceNumber", None)
        if numbers is not None:
            dataset.InstanceNumber = numbers[place]
        if claims["bits"] is not None:
            bits, high, signed = claims["bits"]
            dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = (
                bits,
                bits - 1 if high is None else high,
                int(signed),
            )
        for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "SpacingBetweenSlices"):
            dataset.pop(keyword, None)
        for tag, vr, name in (
            (0x00280106, "US", "smallest"), (0x00280107, "US", "largest"), (0x00180088, "DS", "spacing"),
            (0x00180050, "DS", "thickness"), (0x00280008, "IS", "frames"),
        ):  # fmt: skip
            if claims[name] is not None:
                dataset.add_new(tag, vr, claims[name])
        if claims["size"] is not None:
            dataset.Rows, dataset.Columns = claims["size"]


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(claims=_CLAIMS, order=st.permutations(range(_COUNT)), numbers=_NUMBERS)
def test_no_other_number_in_silence(
    folders: Iterator[Path], claims: dict[str, Any], order: list[int], numbers: list[int] | None
) -> None:
    """The head is read voxel for voxel as its pixels and positions show it, which gives the clean series' volume; or
    the series is refused, and the reason names an attribute that was wrong."""
    series = phantom_series()
    wanted = np.stack([pixels(dataset) for dataset in series]).astype(np.float32)
    _claim(series, claims, numbers)
    files = save_series([series[place] for place in order], next(folders))
    try:
        found = read_series(files)
        require_scan(found.voxels)
        require_head(found.voxels, found.spacing_mm)
    except NotAnalysable as error:
        made = [name for name, value in claims.items() if value is not None]
        assert any(word in error.reason for name in made for word in _NAMES.get(name, "-").split("|")), error.reason
        return
    np.testing.assert_array_equal(found.voxels, wanted)
    assert found.spacing_mm[0] == pytest.approx(_STEP_MM)
    if claims["bits"] is not None and _hides(claims["bits"], int(wanted.max())):
        assert "bits_contradict_pixels" in found.flags


def _hides(claim: tuple[int, int | None, bool], largest: int) -> bool:
    bits, _, signed = claim
    return bits - signed < largest.bit_length()
