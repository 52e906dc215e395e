"""The public face for Python: one series in, one result set out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.models import tiny_model
from support.phantoms import phantom_files

import dicom_node
import segmentation
from dicom_node import NotAnalysable, segment_series
from dicom_node.demo.phantom.phantom import PhantomSpec
from segmentation import Ensemble, open_ensemble

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return open_ensemble(tiny_model(tmp_path_factory.mktemp("model")))


def test_one_series_gives_one_result_set(ensemble: Ensemble, tmp_path: Path) -> None:
    """`segment_series` writes SEG, SR, measurements and page, and returns what it wrote."""
    files = phantom_files(PhantomSpec(matrix=64, slices=8), tmp_path / "scan")
    result = segment_series(files, tmp_path / "result", ensemble=ensemble)
    assert {"seg.dcm", "sr.dcm", "measurements.json", "overlay.png"} <= {path.name for path in result.files}
    assert all(path.is_file() for path in result.files)
    assert result.segmentation.mask.shape == (8, 64, 64)


def test_refused_series_says_why(ensemble: Ensemble, tmp_path: Path) -> None:
    """What is no DICOM raises NotAnalysable with its reason."""
    (tmp_path / "notes.dcm").write_text("no image")
    with pytest.raises(NotAnalysable, match="DICOM"):
        segment_series([tmp_path / "notes.dcm"], tmp_path / "result", ensemble=ensemble)


def test_wrong_calls_are_refused(tmp_path: Path) -> None:
    """No file and an unknown profile are refused before a model is loaded."""
    with pytest.raises(ValueError, match="got none"):
        segment_series([], tmp_path)
    with pytest.raises(ValueError, match="'mosaic'"):
        segment_series([tmp_path / "a"], tmp_path, profile="mosaic")


@pytest.mark.parametrize("package", [dicom_node, segmentation], ids=lambda package: package.__name__)
def test_public_names_exist(package: object) -> None:
    """Each name of `__all__` can be imported, and no other is invented."""
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        package.segment_everything  # type: ignore[attr-defined]  # noqa: B018


def test_package_itself_loads_nothing_heavy() -> None:
    """Importing the packages costs a receiver neither NumPy nor pydicom."""
    program = "import sys, dicom_node, segmentation; assert not {'numpy', 'pydicom', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
