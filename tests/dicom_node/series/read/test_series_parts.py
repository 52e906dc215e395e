"""A series goes from one process to another as data that nothing runs."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from support.data import shared_data
from support.dicom_series import small_scan, write_scan

from dicom_node.node.errors import UnreadableObject
from dicom_node.series.dicom.parsing import PARSER_ERRORS, read_header
from dicom_node.series.read.flair_series import FlairSeries
from dicom_node.series.read.series import read_series
from dicom_node.series.read.series_parts import from_parts, to_parts

_LARGEST = 4_000_000  # bytes


@pytest.fixture(name="series")
def _series(tmp_path: Path) -> FlairSeries:
    return read_series(write_scan(small_scan(), tmp_path))


def _there_and_back(series: FlairSeries) -> FlairSeries:
    return from_parts([bytearray(part) for part in to_parts(series)])


def _one_of_each(folder: Path) -> Iterator[tuple[Path, Dataset]]:
    """The first readable file of each folder; Enhanced MR of thousands of elements are slow to compare."""
    for place in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
        for path in sorted(place.iterdir()):
            if path.is_file() and path.stat().st_size < _LARGEST:
                with suppress(UnreadableObject):
                    yield path, read_header(path)
                    break


@pytest.mark.shared_data
def test_headers_of_vendors_come_through(series: FlairSeries) -> None:
    """Every element that the dictionary knows, of every vendor, also after it was looked at."""
    count = 0
    for path, header in _one_of_each(shared_data("dicom")):
        header.to_json(suppress_invalid_tags=True)  # looks at every element
        (back,) = _there_and_back(replace(series, headers=(header,))).headers
        untouched = read_header(path)
        for dataset in (back, untouched):
            dataset.remove_private_tags()  # in Implicit VR the type of a private element is unknown
            for group_length in [element.tag for element in dataset if element.tag.element == 0]:
                del dataset[group_length]  # retired: no writer keeps them
        assert back.to_json(suppress_invalid_tags=True) == untouched.to_json(suppress_invalid_tags=True), path.name
        count += 1
    assert count > 10


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO 2022 IR 87", "ISO_IR 192"])
def test_names_keep_their_characters(series: FlairSeries, charset: str) -> None:
    """Results are for the patient of the source, in whatever script."""
    name = "Müller^Jürgen" if charset == "ISO_IR 100" else "Yamada^Tarou=山田^太郎"
    (header, *others) = series.headers
    header.SpecificCharacterSet = ["", charset] if "2022" in charset else charset
    header.PatientName = name
    back = _there_and_back(replace(series, headers=(header, *others)))
    assert str(back.headers[0].PatientName) == name


def test_what_a_subverted_child_sends_is_not_run(tmp_path: Path) -> None:
    """Not even a pickle, which these bytes once were."""
    mark = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(mark),)

    for parts in ([pickle.dumps(Hostile()), b"", b""], [b"{}", b"", b""], [b"[]", b""]):
        with pytest.raises(PARSER_ERRORS):
            from_parts([bytearray(part) for part in parts])
    assert not mark.exists()


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float32])
def test_voxels_come_back_as_they_were_kept(series: FlairSeries, kind: type) -> None:
    """Each type of intensities goes as it is, and says the same on the other side."""
    sent = replace(series, stored=series.voxels.astype(kind))
    parts = to_parts(sent)
    assert len(bytes(parts[2])) == np.dtype(kind).itemsize * sent.stored.size
    back = from_parts([bytearray(part) for part in parts])
    assert back.stored.dtype == kind
    assert np.array_equal(back.voxels, sent.voxels)


def test_voxels_of_another_type_are_refused(series: FlairSeries) -> None:
    """What has taken the child over cannot make numbers of its bytes that a series does not have."""
    described, headers, voxels = (bytearray(part) for part in to_parts(series))
    for other in ("object", "float64", "nonsense"):
        facts = json.dumps({**json.loads(described), "voxel_type": other}).encode()
        with pytest.raises(PARSER_ERRORS):
            from_parts([bytearray(facts), headers, voxels])
