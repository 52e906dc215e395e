"""Headers that contradict their pixels: the better evidence decides with a flag, or the reason names the attributes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from support.phantom_series import phantom_series, pixels, save_series

from dicom_node.node.errors import IncompleteSeries, NotFlair, UnreadableObject
from dicom_node.series.read.dark_air import require_dark_air
from dicom_node.series.read.scan import require_scan
from dicom_node.series.read.series import FlairSeries, read_series

_RANGE = ("SmallestImagePixelValue", "LargestImagePixelValue")


def read(series: list[Dataset], folder: Path) -> FlairSeries:
    return read_series(save_series(series, folder))


def plain() -> NDArray[np.float32]:
    return np.stack([pixels(dataset) for dataset in phantom_series()]).astype(np.float32)


def set_bits(one: Dataset, bits: int, *, signed: bool = False, high: int | None = None) -> None:
    one.BitsStored, one.HighBit, one.PixelRepresentation = bits, bits - 1 if high is None else high, int(signed)
    for keyword in _RANGE:
        one.pop(keyword, None)


def corners(shape: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = np.indices(shape)
    outside: NDArray[np.bool_] = (rows - 31.5) ** 2 + (columns - 31.5) ** 2 > 31.0**2
    return outside


@pytest.mark.parametrize("bits", [8, 10, 12, 13])
@pytest.mark.parametrize("high", [None, 15])
def test_more_bits_than_stated_are_read_as_they_look(tmp_path, bits, high):
    """Values that the stated bits do not hold wrap bright tissue to black: the pixels decide, with a flag."""
    series = phantom_series()
    for dataset in series:
        set_bits(dataset, bits, high=high)
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, plain())
    assert "bits_contradict_pixels" in found.flags


def test_a_high_bit_below_the_stored_bits_is_read_as_it_looks(tmp_path):
    """HighBit has to be BitsStored - 1 (PS3.5 8.1.1); where it is less, the pixels decide."""
    series = phantom_series()
    for dataset in series:
        set_bits(dataset, 16, high=11)
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, plain())
    assert "bits_contradict_pixels" in found.flags


def test_twelve_signed_bits_with_nothing_above_keep_their_sign(tmp_path):
    """Upper bits that are zero in negative values contradict nothing: BitsStored says where the sign is."""
    series, wanted = phantom_series(), plain()
    for dataset in series:
        values = pixels(dataset) // 8 - 100
        set_bits(dataset, 12, signed=True)
        dataset.PixelData = (values & 0xFFF).astype(np.uint16).tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "100"
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, wanted // 8)
    assert "bits_contradict_pixels" not in found.flags


@pytest.mark.parametrize("states_signed", [False, True])
def test_a_wrong_sign_is_seen_in_the_pixels(tmp_path, states_signed):
    """Two's complement that is stated unsigned, or the reverse, turns air white or tissue black: the pixels decide."""
    series, wanted = phantom_series(), plain()
    for dataset in series:
        values = pixels(dataset) * 4 if states_signed else pixels(dataset) - 400
        set_bits(dataset, 16, signed=states_signed)
        dataset.PixelData = (values & 0xFFFF).astype(np.uint16).tobytes()
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, wanted * 4 if states_signed else wanted - 400)
    assert "bits_contradict_pixels" in found.flags


def test_overlays_in_the_high_bits_are_no_signal(tmp_path):
    """A graphic that the header declares in the pixels' high bits changes no intensity and needs no flag."""
    series, wanted = phantom_series(), plain()
    for dataset in series:
        set_bits(dataset, 14)
        dataset.add_new(0x60000010, "US", 64)
        dataset.add_new(0x60000100, "US", 16)
        dataset.add_new(0x60000102, "US", 15)
        dataset.PixelData = (pixels(dataset) | (np.eye(64, dtype=np.int64) << 15)).astype(np.uint16).tobytes()
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, wanted)
    assert "bits_contradict_pixels" not in found.flags


@pytest.mark.parametrize("largest", [100, 4095])
def test_values_beyond_the_stated_largest_are_noted(tmp_path, largest):
    """Smallest and LargestImagePixelValue change nothing, and are named where they do not hold."""
    series = phantom_series()
    for dataset in series:
        dataset.LargestImagePixelValue = largest
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, plain())
    assert "value_range_contradicts" in found.flags
    assert "value_range_contradicts" not in read(phantom_series(), tmp_path / "plain").flags


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.sampled_from([-32768, -2000, -1, 0, 32767, 65535, 63536]),
    signed=st.booleans(),
    other_vr=st.booleans(),
    inverted=st.booleans(),
    limit=st.sampled_from([None, 0, 30]),
)
def test_padding_is_no_signal(tmp_path, value, signed, other_vr, inverted, limit):
    """Whatever value marks padding, in each representation and grey scale: the head is read as without it, and the
    padding is as dark as air."""
    low, high = (-32768, 32767) if signed else (0, 65535)
    value = min(max(value, low), high)
    last = value if limit is None else min(max(value + limit, low), high)
    series, wanted = phantom_series(), plain()
    if value in range(1, 14000) or (limit and value in range(-limit, 14000)):
        return  # values that the head has too
    outside = corners(wanted.shape[1:])
    for number, dataset in enumerate(series):
        stored = 13000 - pixels(dataset) if inverted else pixels(dataset)
        stored[outside] = value if number % 2 else last
        set_bits(dataset, 16, signed=signed)
        dataset.PixelData = stored.astype(np.int16 if signed else np.uint16).tobytes()
        vr = "SS" if signed != other_vr else "US"
        dataset.add_new(
            0x00280120, vr, value if vr == "SS" and value < 32768 else value & 0xFFFF if vr == "US" else value - 65536
        )
        if limit is not None:
            dataset.add_new(
                0x00280121, vr, last if vr == "SS" and last < 32768 else last & 0xFFFF if vr == "US" else last - 65536
            )
        if inverted:
            dataset.PhotometricInterpretation = "MONOCHROME1"
    found = read(series, tmp_path)
    inside = np.broadcast_to(~outside, wanted.shape) & (wanted > 100)
    difference = found.voxels[inside] - wanted[inside]
    assert difference.std() < 1.0
    assert found.voxels[:, outside].max() <= np.percentile(found.voxels[inside], 1)


@pytest.mark.parametrize(("value", "limit"), [(0, 65535), (0, 5000), (4000, 9000), (9000, 65535), (4095, 600)])
def test_a_declaration_that_makes_tissue_padding_is_not_used(tmp_path, value, limit):
    """A range that covers all of the head, its dark, middle or bright values: it is noted and not applied, so that
    bright lesions stay, and no reason speaks of an inverted grey scale."""
    series = phantom_series()
    for dataset in series:
        dataset.add_new(0x00280120, "US", value)
        dataset.add_new(0x00280121, "US", limit)
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, plain())
    assert "padding_contradicts_pixels" in found.flags


def _numbered(one: Dataset, number: int) -> None:
    one.InstanceNumber = number


def _announced(one: Dataset, _number: int) -> None:
    del one.InstanceNumber
    one.ImagesInAcquisition = 10


@pytest.mark.parametrize("spacing", ["1", "-1", "4", "2"])
@pytest.mark.parametrize("shows", [_numbered, _announced])
def test_a_copied_spacing_loses_no_slice(tmp_path, spacing: str, shows: Callable[[Dataset, int], None]):
    """A reformat copies SpacingBetweenSlices of its source: numbers without a hole show that nothing is lost."""
    series = phantom_series()
    for number, dataset in enumerate(series, start=1):
        dataset.SliceThickness, dataset.SpacingBetweenSlices = "1", spacing
        shows(dataset, number)
    found = read(series, tmp_path)
    assert found.spacing_mm[0] == pytest.approx(8.0)
    assert "spacing_contradicts_positions" in found.flags


def test_a_lost_package_is_still_seen(tmp_path):
    """Every other slice lost: InstanceNumbers have holes, and the reason names SpacingBetweenSlices."""
    series = phantom_series()
    for number, dataset in enumerate(series, start=1):
        dataset.InstanceNumber, dataset.SliceThickness, dataset.SpacingBetweenSlices = 2 * number, "4", "4"
    with pytest.raises(IncompleteSeries, match=r"SpacingBetweenSlices is 4\.00 mm.*8\.00 mm apart: 9 slices"):
        read(series, tmp_path)


@pytest.mark.parametrize("negative", ["-8", "-8.0"])
def test_a_negative_spacing_is_a_distance(tmp_path, negative):
    """The sign of SpacingBetweenSlices says a direction (PS3.3 C.7.6.2.1.3 gives none): nothing to note."""
    series = phantom_series()
    for dataset in series:
        dataset.SpacingBetweenSlices = negative
    assert "spacing_contradicts_positions" not in read(series, tmp_path).flags


@pytest.mark.parametrize(
    ("rows", "columns", "code"), [(32, 64, "pixel_length_contradicts"), (64, 128, "pixels_undecodable")]
)
def test_sizes_that_do_not_fit_the_pixel_data_are_refused_by_name(tmp_path, rows, columns, code):
    """Rows x Columns that describe another image than PixelData holds: the reason names both."""
    series = phantom_series()
    for dataset in series:
        dataset.Rows, dataset.Columns = rows, columns
    with pytest.raises(UnreadableObject, match=r"Rows x Columns x NumberOfFrames.*PixelData has 8192") as caught:
        read(series, tmp_path)
    assert caught.value.code == code


@pytest.mark.parametrize(("rows", "columns"), [(128, 32), (32, 128), (256, 16), (16, 256)])
def test_rows_of_another_length_are_refused_by_name(tmp_path, rows, columns):
    """Rows x Columns that multiply to the right length and cut the image into other lines: the pixels show it."""
    series = phantom_series()
    for dataset in series:
        dataset.Rows, dataset.Columns = rows, columns
    with pytest.raises(UnreadableObject, match=rf"Rows x Columns is {rows} x {columns}.*rows of 64") as caught:
        read(series, tmp_path)
    assert caught.value.code == "row_length_contradicts"


@pytest.mark.parametrize("frames", [9, 11])
def test_a_wrong_number_of_frames_is_refused_by_name(tmp_path, frames):
    """NumberOfFrames that fits neither functional groups nor pixel data is named."""
    (one,) = phantom_series(enhanced=True)
    one.NumberOfFrames = frames
    with pytest.raises(UnreadableObject, match=f"NumberOfFrames is {frames}"):
        read([one], tmp_path)


@pytest.mark.parametrize(
    "values", [(0, 1000), (0, 1, 2, 3, 41), tuple(range(0, 2000, 80))], ids=["mask", "labels", "colours"]
)
def test_masks_label_maps_and_colour_maps_are_no_scan(tmp_path, values):
    """Pixels that have a few values in flat patches are refused, whatever the header calls them."""
    series = phantom_series()
    levels = np.quantile(plain(), np.linspace(0.5, 1, len(values) + 1)[1:-1])
    for dataset in series:
        dataset.PixelData = np.array(values)[np.digitize(pixels(dataset), levels)].astype(np.uint16).tobytes()
    with pytest.raises(NotFlair, match="no scan") as caught:
        require_scan(read(series, tmp_path).voxels)
    assert caught.value.code == "not_a_scan"


def test_a_phantom_is_a_scan():
    """The rule refuses no head, not even one of 8 bits."""
    require_scan(plain())
    require_scan(np.floor(plain() / plain().max() * 255).astype(np.float32))


def set_values(one: Dataset, values: NDArray[np.int64], *, signed: bool = False) -> None:
    set_bits(one, 16, signed=signed)
    one.PixelData = (values & 0xFFFF).astype(np.uint16).tobytes()


@pytest.mark.parametrize(("value", "signed"), [(-32768, True), (-2000, True), (65535, False), (32767, True)])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_that_no_header_declares_is_no_signal(tmp_path, value, signed, photometric):
    """One value far from all others in the corners of some slices counts as air, with a flag, in either grey scale."""
    series, wanted = phantom_series(), plain()
    top = int(wanted.max())
    outside = corners((64, 64))
    for index, dataset in enumerate(series):
        values = pixels(dataset) // 8 if photometric == "MONOCHROME2" else (top - pixels(dataset)) // 8
        wanted[index] = wanted[index] // 8 if photometric == "MONOCHROME2" else top // 8 - values
        if index > 2:
            values[outside] = value
            wanted[index][outside] = wanted.min()
        set_values(dataset, values, signed=signed)
        dataset.PhotometricInterpretation = photometric
    found = read(series, tmp_path)
    np.testing.assert_allclose(found.voxels, wanted, atol=2)
    assert "undeclared_padding" in found.flags


@pytest.mark.parametrize("value", [0, 65535])
def test_a_hot_pixel_and_dark_air_are_no_padding(tmp_path, value):
    """One hot pixel a slice stays what it is, as does air of 0: no flag."""
    series = phantom_series()
    for dataset in series:
        values = pixels(dataset)
        values[3, 3] = value
        set_values(dataset, values)
    found = read(series, tmp_path)
    assert float(found.voxels.max()) == max(value, plain().max())
    assert "undeclared_padding" not in found.flags


def test_grey_scale_is_turned_slice_by_slice(tmp_path):
    """A series in which every other slice says MONOCHROME1 is brought to one grey scale."""
    series, wanted = phantom_series(), plain()
    for dataset in series[1::2]:
        set_values(dataset, int(wanted.max()) - pixels(dataset))
        dataset.PhotometricInterpretation = "MONOCHROME1"
    found = read(series, tmp_path)
    assert "monochrome1_inverted" in found.flags
    for got, right in zip(found.voxels, wanted, strict=True):
        assert np.corrcoef(got.ravel(), right.ravel())[0, 1] > 0.999


def test_a_grey_scale_that_the_pixels_contradict_is_not_turned(tmp_path):
    """MONOCHROME1 in the header of images with dark air: they are read as they look, with a flag."""
    series = phantom_series()
    for dataset in series:
        dataset.PhotometricInterpretation = "MONOCHROME1"
    found = read(series, tmp_path)
    np.testing.assert_array_equal(found.voxels, plain())
    assert "monochrome_contradicts_pixels" in found.flags


@pytest.mark.parametrize("how", ["pixels", "slope"])
def test_an_inverted_head_is_refused_by_name(tmp_path, how):
    """Bright air in images that say MONOCHROME2: the reason names what can be wrong."""
    series, top = phantom_series(), int(plain().max())
    for dataset in series:
        if how == "pixels":
            set_values(dataset, top - pixels(dataset))
        else:
            dataset.RescaleSlope, dataset.RescaleIntercept = "-1", "0"
    voxels = read(series, tmp_path).voxels
    with pytest.raises(NotFlair, match="PhotometricInterpretation and RescaleSlope") as caught:
        require_dark_air(voxels)
    assert caught.value.code == "inverted_grey"
    require_dark_air(plain())
