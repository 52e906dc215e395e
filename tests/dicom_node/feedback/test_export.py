"""Corrections as training cases: what `training` reads is what was corrected, and nothing says whose it is."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support.feedback import AnalysedNode

from db.records import ReviewVerdict
from db.reviews import ReviewTable
from dicom_node.analyse.follow_up.patient_key import open_hasher
from dicom_node.feedback.export import Exported, Exporter
from dicom_node.node.errors import ConfigurationError
from dicom_node.series.read.received_series import ReceivedSeriesReader
from training.data.cases import load_cases

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def series_reader() -> Iterator[ReceivedSeriesReader]:
    """One child for all."""
    with closing(ReceivedSeriesReader()) as opened:
        yield opened


@pytest.fixture
def export(node: AnalysedNode, series_reader: ReceivedSeriesReader):
    """Exports from the node into a folder."""

    def run(out: Path) -> Exported:
        hasher = open_hasher(node.storage)
        return Exporter(node.feedback, node.inbox, node.jobs, node.storage, hasher, series_reader).export(out)

    return run


def _rows(out: Path) -> list[dict[str, str]]:
    with (out / "patients.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_what_is_read_is_what_was_corrected(node: AnalysedNode, export, tmp_path: Path) -> None:
    """FLAIR, WMH and ventricles, voxel for voxel; the model's mask and what was refused are nowhere."""
    mask = node.corrected_mask()
    ventricles = np.zeros_like(mask)
    ventricles[3:5, 36:40, 30:34] = True
    node.corrected(node.by_tool({"WMH": mask & ~ventricles, "Ventricles": ventricles}))
    node.corrected(node.by_tool({"tumour": mask}))
    out = tmp_path / "cases"
    assert export(out) == Exported(("case-00001",), (), ())
    (case,) = load_cases(out)
    np.testing.assert_array_equal(case.volume.voxels, node.series.voxels)
    np.testing.assert_allclose(case.volume.spacing_mm, node.series.spacing_mm, rtol=1e-4)
    np.testing.assert_array_equal(case.wmh, mask & ~ventricles)
    np.testing.assert_array_equal(case.ventricles, ventricles)
    assert sorted(path.name for path in out.iterdir()) == ["case-00001", "patients.csv"]


def test_nothing_says_whose_it_is(node: AnalysedNode, export, tmp_path: Path) -> None:
    """Neither name, identifier, nor any UID of the patient's objects is in a file or in a file's name."""
    one = node.corrected(node.by_tool({"WMH": node.corrected_mask()}))
    out = tmp_path / "cases"
    export(out)
    (row,) = _rows(out)
    assert (row["site"], row["split"], row["case"]) == ("", "", "case-00001")
    assert row["patient"].startswith("p-")
    header = node.series.headers[0]
    secrets = [
        str(header.PatientName), str(header.PatientID), str(header.StudyInstanceUID), str(header.SeriesInstanceUID),
        one.sop_instance_uid, "Rita",
    ]  # fmt: skip
    for path in out.rglob("*"):
        content = b"" if path.is_dir() else path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        for secret in secrets:
            assert secret.encode() not in content
            assert secret not in str(path.relative_to(out))


def test_exported_again(node: AnalysedNode, export, tmp_path: Path) -> None:
    """What is there stays; a second correction replaces the first; what people wrote into patients.csv stays."""
    out = tmp_path / "cases"
    node.corrected(node.edited(node.corrected_mask()))
    export(out)
    text = (
        (out / "patients.csv")
        .read_text()
        .replace("case-00001", "case-00001,71")
        .replace("split,case", "split,case,age")
    )
    (out / "patients.csv").write_text(text.replace(",,,", ",Lyon,train,"))
    assert export(out) == Exported((), ("case-00001",), ())
    second = node.segmentation.mask.copy()
    second[5] = False
    number = node.corrected(node.edited(second)).id
    assert export(out) == Exported(("case-00001",), (), ())
    (case,) = load_cases(out)
    np.testing.assert_array_equal(case.wmh, second)
    assert (case.site, case.split, case.clinical) == ("Lyon", "train", {"age": 71.0})
    told = json.loads((out / "case-00001" / "feedback.json").read_text())
    assert told["feedback"] == number
    assert told["comparison"]["dsc"] == pytest.approx(node.feedback.get(number).comparison["dsc"])


def test_nothing_to_export(export, tmp_path: Path) -> None:
    """Without corrections an empty folder, without a table of patients."""
    assert export(tmp_path / "cases") == Exported((), (), ())
    assert list((tmp_path / "cases").iterdir()) == []


def test_folders_of_others(node: AnalysedNode, export, tmp_path: Path) -> None:
    """A folder that is no export of ours, and a table that cannot be added to, are left as they are."""
    node.corrected(node.edited(node.corrected_mask()))
    (tmp_path / "a" / "case-00001").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="is not a case of an earlier export"):
        export(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "patients.csv").write_text("id,site\n1,x\n")
    with pytest.raises(ConfigurationError, match="missing patient, split, case"):
        export(tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["patients.csv"]


def test_a_damaged_file(node: AnalysedNode, export, tmp_path: Path) -> None:
    """A correction whose file rotted is named and left out; nothing half is written."""
    one = node.corrected(node.edited(node.corrected_mask()))
    (node.storage / one.path).write_bytes(b"rotten")
    done = export(tmp_path / "cases")
    assert (done.written, [words for words, _ in done.failed]) == ((), [f"feedback {one.id}"])
    assert "send the object again" in done.failed[0][1]
    assert list((tmp_path / "cases").iterdir()) == []


def test_results_that_readers_accepted(node: AnalysedNode, series_reader: ReceivedSeriesReader, tmp_path: Path) -> None:
    """With reviews, a result that a reader took as it is becomes a case; a correction of the series wins over it."""
    reviews = ReviewTable(node.database)
    out = tmp_path / "cases"

    def run() -> Exported:
        exporter = Exporter(
            node.feedback, node.inbox, node.jobs, node.storage, open_hasher(node.storage), series_reader
        )
        return exporter.export(out, reviews=reviews)

    assert run() == Exported((), (), ())
    review = reviews.decide(1, ReviewVerdict.ACCEPTED, "alice")
    assert run() == Exported(("case-00001",), (), ())
    (case,) = load_cases(out)
    np.testing.assert_array_equal(case.wmh, node.segmentation.mask)
    assert json.loads((out / "case-00001" / "feedback.json").read_text())["review"] == review.id
    reviews.note_upload(1, "bob", "1.2.3", "a" * 64)  # it fits nothing: the verdict stays, and so does the case
    assert run() == Exported((), ("case-00001",), ())
    mask = node.corrected_mask()
    node.corrected(node.by_tool({"WMH": mask}))
    assert run() == Exported(("case-00001",), (), ())
    (case,) = load_cases(out)
    np.testing.assert_array_equal(case.wmh, mask)
