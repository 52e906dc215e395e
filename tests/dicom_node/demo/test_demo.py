"""`wmh-node demo`."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest
from support.data import shared_data
from support.dicom_series import series_from_nifti
from support.models import tiny_bundle
from support.node import run_cli
from support.result_facts import facts_of

from dicom_node.results.result_set import part10_bytes
from dicom_node.results.seg.wmh_seg import build_seg
from dicom_node.series.read.series import read_series
from segmentation.boxed import BoxedMask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A tiny bundle, and settings of a real installation that must not leak into the demo."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("WMH_NODE_")}
    return clean | {
        "WMH_NODE_MODEL": str(tiny_bundle(tmp_path_factory.mktemp("model"))),
        "WMH_NODE_DESTINATIONS": "hospital=REALPACS@192.0.2.1:104",
        "WMH_NODE_DATABASE_URL": "postgresql+psycopg://nobody@192.0.2.1/real",
    }


def test_phantom_there_and_back(environment: dict[str, str], tmp_path: Path) -> None:
    """With the shipped model the demo ends by itself with SEG, SR, measurements and picture, prints the truth beside
    the measurement, and leaves no process behind."""
    token = uuid.uuid4().hex
    model = ("WMH_NODE_MODEL", "WMH_NODE_DATABASE_URL")  # without them the shipped one
    shipped = {name: value for name, value in environment.items() if name not in model}
    done = run_cli("demo", "--out", tmp_path / "out", environment={**shipped, "DEMO_TEST": token})
    assert "truth" in done.stdout
    assert "WMH volume" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names >= {"seg.dcm", "sr.dcm", "measurements.json", "overlay.png"}
    assert pydicom.dcmread(tmp_path / "out" / "seg.dcm").Modality == "SEG"
    assert not any(_carries(process, token) for process in psutil.process_iter())


def _carries(process: psutil.Process, token: str) -> bool:
    """Whether a process inherited the demo's environment."""
    try:
        return process.environ().get("DEMO_TEST") == token
    except psutil.Error:
        return False


def test_users_own_dicom_that_is_no_flair(environment: dict[str, str], tmp_path: Path) -> None:
    """DICOM that is no FLAIR comes back with the reason, and exit 3."""
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(next(shared_data("dicom", "dcm_qa_ts").rglob("*.dcm")), folder)
    done = run_cli("demo", "--input", folder, "--out", tmp_path / "out", "--json", environment=environment, code=3)
    (series,) = json.loads(done.stdout)["series"]
    assert series["state"] == "rejected"
    assert series["reason"]


def test_users_own_study(environment: dict[str, str], tmp_path: Path) -> None:
    """Of a user's own study the FLAIR comes back with its results, and the rest with a reason; an earlier segmentation
    in it, which is no job, is not waited for."""
    flair = read_series(
        series_from_nifti(shared_data("flair-wmh", "105911", "flair.nii.gz"), tmp_path / "in" / "flair")
    )
    seg = build_seg(flair, BoxedMask.of(flair.voxels > np.quantile(flair.voxels, 0.99)), facts_of(flair))
    (tmp_path / "in" / "earlier.dcm").write_bytes(part10_bytes(seg))
    shutil.copy(next(shared_data("dicom", "dcm_qa_ts").rglob("*.dcm")), tmp_path / "in")
    done = run_cli("demo", "--input", tmp_path / "in", "--out", tmp_path / "out", "--json", environment=environment)
    outcome = json.loads(done.stdout)
    assert sorted(series["state"] for series in outcome["series"]) == ["done", "rejected"]
    assert outcome["truth"] is None
    assert (tmp_path / "out" / "seg.dcm").exists(), "the first result lies in the folder itself"
