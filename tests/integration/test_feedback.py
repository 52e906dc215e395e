"""End to end: a node analyses a series, its result is corrected by real tools, sent back, listed, exported and taken by
training."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import distribution
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import generate_uid
from support.dcmtk import storescu
from support.models import tiny_bundle
from support.node import AE_TITLE, Node
from support.phantoms import phantom_files
from support.processes import until
from support.results import outbox_of

from dicom_node.cases.prepare import prepare_cases
from dicom_node.demo.phantom.phantom import PhantomSpec
from training.data.cases import load_cases
from training.data.presets import PRESETS
from training.fit.plan import make_plan

pytestmark = [pytest.mark.peer("storescu"), pytest.mark.slow, pytest.mark.timeout(600)]


def _listed(node: Node, count: int, *options: str) -> list[dict]:
    """The list, once so many are decided."""

    def look() -> list[dict] | None:
        found = json.loads(node.cli("feedback", "list", "--json", *options).stdout)
        return found if len([row for row in found if row["state"] != "waiting"]) >= count else None

    return until(look, f"{count} corrections decided", 120, node.log)


def _edited_by_pydicom(seg_file: Path, folder: Path) -> Path:
    """A script wipes out the fullest frame, and signs."""
    seg = pydicom.dcmread(seg_file)
    frames = seg.pixel_array.copy()
    frames[frames.sum(axis=(1, 2)).argmax()] = 0
    seg.PixelData = pydicom.pixels.pack_bits(frames.reshape(-1), pad=True)
    seg.SOPInstanceUID = seg.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    seg.SeriesInstanceUID = generate_uid()
    seg.ContentCreatorName = "Reader^Rita"
    seg.save_as(folder / "edited.dcm")
    return folder / "edited.dcm"


def _dcmqi(program: str, *options: object) -> None:
    """dcmqi is what 3D Slicer reads and writes SEG with."""
    path = distribution("dcmqi").locate_file(f"dcmqi/bin/{program}")
    done = subprocess.run([str(path), *map(str, options)], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _edited_by_dcmqi(seg_file: Path, series: Path, folder: Path) -> tuple[Path, NDArray[np.bool_]]:
    """SEG to NIfTI, a lesion drawn, and back to SEG without empty frames, with Slicer's usual codes; and the mask as
    dcmqi has it, (slice, row, column)."""
    _dcmqi("segimage2itkimage", "--inputDICOM", seg_file, "--outputDirectory", folder, "-t", "nii", "-p", "wmh")
    image = nibabel.load(folder / "wmh-1.nii.gz")
    labels = np.asarray(image.dataobj).copy()
    middle = [size // 2 for size in labels.shape]
    labels[middle[0] : middle[0] + 5, middle[1] : middle[1] + 5, middle[2]] = 1
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), image.affine), folder / "drawn.nii.gz")
    about = json.loads((folder / "wmh-meta.json").read_text())
    about["ContentCreatorName"] = "Slicer^Sam"
    (segment,) = about["segmentAttributes"][0]
    segment.update(SegmentLabel="WMH", SegmentAlgorithmType="MANUAL")
    segment.pop("SegmentAlgorithmName", None)
    tissue = {"CodeValue": "85756007", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Tissue"}
    segment.update(SegmentedPropertyCategoryCodeSequence=tissue, SegmentedPropertyTypeCodeSequence=tissue)
    (folder / "meta.json").write_text(json.dumps(about))
    _dcmqi(
        "itkimage2segimage", "--inputImageList", folder / "drawn.nii.gz", "--inputDICOMDirectory", series,
        "--inputMetadata", folder / "meta.json", "--outputDICOM", folder / "slicer.dcm", "--skip",
    )  # fmt: skip
    return folder / "slicer.dcm", labels.transpose(2, 1, 0) > 0


def test_corrected_sent_back_exported_and_trained_on(tmp_path: Path) -> None:
    """Our own result coming back is none; pydicom's and dcmqi's corrections are found with who, DSC, mL and model; the
    later one counts; the exported case holds exactly its mask, and training begins with it. No name is in the log."""
    files = phantom_files(PhantomSpec(slices=20, matrix=128), tmp_path / "series")
    with Node(tmp_path / "node", model=tiny_bundle(tmp_path / "model")) as node:
        storescu(files, AE_TITLE, node.port)
        (job,) = node.ended_jobs()
        assert str(job.state) == "done", job.reason
        ours = outbox_of(node.storage, job.id) / "seg.dcm"
        storescu([ours], AE_TITLE, node.port, "-R", calling="PACS")
        storescu([_edited_by_pydicom(ours, tmp_path)], AE_TITLE, node.port, "-R", calling="SCRIPT")
        _listed(node, 2, "--all")
        drawn, mask = _edited_by_dcmqi(ours, tmp_path / "series", tmp_path)
        storescu([drawn], AE_TITLE, node.port, "-R", calling="SLICER")
        slicer, edited, own = _listed(node, 3, "--all")
        assert [(row["state"], row["calling_ae_title"]) for row in (slicer, edited, own)] == [
            ("accepted", "SLICER"), ("accepted", "SCRIPT"), ("own", "PACS"),
        ]  # fmt: skip
        assert (slicer["who"], edited["who"]) == ("Slicer^Sam", "Reader^Rita")
        assert edited["superseded_by"] == slicer["id"]
        assert (edited["comparison"]["added_ml"], slicer["comparison"]["removed_ml"]) == (0, 0)
        assert edited["comparison"]["removed_ml"] > 0
        assert slicer["comparison"]["model"]["digest"] == job.measurements["model"]["digest"]
        assert slicer["comparison"]["model_ml"] == pytest.approx(job.measurements["wmh_volume_ml"], rel=1e-4)
        assert [entry["id"] for entry in _listed(node, 1)] == [slicer["id"]]
        story = node.cli("jobs", "explain", job.series_instance_uid).stdout
        assert f"Feedback {slicer['id']} from SLICER" in story
        assert f"superseded by {slicer['id']}" in story
        assert "feedback accepted" in node.cli("jobs", "audit").stdout
        assert "Slicer^Sam" in node.cli("feedback", "show", slicer["id"]).stdout
        node.cli("feedback", "export", "--out", tmp_path / "cases")
        log = node.log.read_text()
        assert "feedback accepted" in log
        assert not [name for name in ("Sam", "Rita") if name in log]
    (case,) = load_cases(prepare_cases(tmp_path / "cases", tmp_path / "cache"))
    np.testing.assert_array_equal(case.wmh, mask)
    assert make_plan([case], (), PRESETS["paper-2024"], members=1).seen_by(0) != ()
