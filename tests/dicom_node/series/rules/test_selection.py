"""Which FLAIR series of a folder are analysed, and what is said about the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.phantom_series import phantom_series, save_series

from dicom_node.node.errors import IncompleteSeries, NotFlair
from dicom_node.series.dicom.folder import find_series, lost_beside
from dicom_node.series.rules.selection import Selection, select_series


def another(uid: str, study: str | None = None, **elements: object) -> list[Dataset]:
    series = phantom_series()
    for number, dataset in enumerate(series):
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = uid, f"{uid}.{number}"
        dataset.StudyInstanceUID = study or dataset.StudyInstanceUID
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    return series


def sagittal(uid: str) -> list[Dataset]:
    series = another(uid, SeriesDescription="SAG FLAIR 3D", SeriesNumber=3, MRAcquisitionType="3D")
    for number, dataset in enumerate(series):
        dataset.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
        dataset.ImagePositionPatient = [str(-40 + 8 * number), "-113", "113"]
    return series


def select(tmp_path: Path, *many: list[Dataset]) -> Selection:
    for number, series in enumerate(many):
        save_series(series, tmp_path / str(number))
    return select_series(find_series([tmp_path]).series)


@pytest.mark.parametrize(
    "worse",
    [
        sagittal,
        lambda uid: another(uid, ImageType=["DERIVED", "PRIMARY", "M"]),
        lambda uid: another(uid, ImageType=["DERIVED", "SECONDARY", "MPR", "M"]),
        lambda uid: another(uid, MRAcquisitionType="3D"),
        lambda uid: another(uid, ContrastBolusAgent="agent"),
        lambda uid: another(uid)[:-1],
        lambda uid: another(uid)[:4],
        lambda uid: [chosen for number, chosen in enumerate(another(uid)) if number != 5],
        lambda uid: another(uid, SeriesNumber=2),
    ],
    ids=["sagittal", "derived", "mpr", "3d", "contrast", "shorter", "few", "gap", "earlier"],
)
@pytest.mark.parametrize("uids", [("1.2.1", "1.2.2"), ("1.2.2", "1.2.1")])
def test_the_better_of_two_is_analysed_and_the_other_is_named(tmp_path, worse: Callable[[str], list[Dataset]], uids):
    """By a stated order, whatever the UIDs; the one that is left out is named with description, plane and slices."""
    selection = select(tmp_path, another(uids[0], SeriesNumber=7, SeriesDescription="AX FLAIR"), worse(uids[1]))
    assert [chosen.series_instance_uid for chosen in selection.chosen] == [uids[0]]
    (skipped,) = selection.skipped
    assert uids[1] in skipped.series
    assert '"AX FLAIR", series 7, axial, 10 slices' in skipped.better


def test_each_study_has_its_series(tmp_path):
    """Series of two studies are both analysed."""
    selection = select(tmp_path, another("1.2.1", "1.3.1"), another("1.2.2", "1.3.2"))
    assert {chosen.series_instance_uid for chosen in selection.chosen} == {"1.2.1", "1.2.2"}
    assert selection.skipped == ()


@pytest.mark.parametrize(
    ("each", "words"),
    [(1, "10 FLAIR series of one study have one image each"), (3, "4 FLAIR series .* have fewer than 5 images each")],
)
def test_slices_that_are_divided_among_series_are_said_once(tmp_path, each, words):
    """One reason in place of ten."""
    series = phantom_series()
    for number, dataset in enumerate(series):
        dataset.SeriesInstanceUID = f"1.2.{number // each}"
    with pytest.raises(IncompleteSeries, match=words) as caught:
        select(tmp_path, series)
    assert caught.value.code == "slice_per_series"


def test_without_a_flair_each_series_is_named(tmp_path):
    """The reason says which series is which, and why each is refused."""
    one, other = another("1.2.1", Modality="CT", SeriesNumber=2), another("1.2.2", SeriesDescription="localizer")
    with pytest.raises(
        NotFlair, match=r"Series 2, 10 files \(1\.2\.1\): This is not an MR.*1\.2\.2\): This is a localizer"
    ):
        select(tmp_path, one, other)


@pytest.mark.parametrize(
    ("name", "content", "is_lost"),
    [
        ("im010.dcm", lambda raw: raw[:700], True),
        ("im010.dcm", lambda raw: b"", True),
        ("im010.dcm", lambda raw: bytes(len(raw)), True),
        ("other", lambda raw: raw[:140], True),
        ("DICOMDIR", lambda raw: raw[:140], False),
        ("readme.txt", lambda raw: b"hello", False),
        ("autorun.inf", lambda raw: b"[autorun]", False),
    ],
)
def test_unreadable_files_beside_a_series_may_be_its_slices(tmp_path, name, content, is_lost):
    """Cut off, emptied or zeroed files count; a DICOMDIR and texts of a CD do not."""
    files = save_series(phantom_series(), tmp_path)
    raw = files.pop().read_bytes()
    (tmp_path / "im010.dcm").unlink()
    (tmp_path / name).write_bytes(content(raw))
    found = find_series([tmp_path])
    assert lost_beside(found.series[0], found.unreadable) == ((tmp_path / name,) if is_lost else ())


@pytest.mark.parametrize("name", ["._im001.dcm", ".DS_Store", "Thumbs.db"])
def test_what_a_system_leaves_is_passed_over(tmp_path, name):
    """AppleDouble files and thumbnails are neither series nor unreadable."""
    save_series(phantom_series(), tmp_path)
    (tmp_path / name).write_bytes(b"\0\5\x16\7" + bytes(4092))
    found = find_series([tmp_path])
    assert found.unreadable == ()
    assert len(found.series[0].paths) == 10
