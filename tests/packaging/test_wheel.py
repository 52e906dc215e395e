"""The wheel: what `pip install wmh-node` gives on a machine that only serves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"db", "dicom_node", "segmentation", "training"}
GIGABYTE = 10**9

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def run(*command: str | Path, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run without this environment's paths, so that only what was installed is found."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WMH_NODE_"))}
    environment |= {"PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, check=check, capture_output=True, text=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # From a copy: setuptools leaves a build folder beside its source, whose stale modules reach the next wheel.
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source, cwd=source)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def serving(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty environment with the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("serving")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "pip", "install", "--quiet", "--no-compile", wheel, cwd=folder)
    return folder


def test_wheel_holds_the_four_packages_each_typed(wheel: Path) -> None:
    """The wheel has no top-level name beyond the four packages, and each says that it is typed."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


def test_serving_needs_less_than_a_gigabyte_and_no_tensorflow(serving: Path) -> None:
    """`pip install wmh-node` brings OpenVINO without TensorFlow, in under 1 GB."""
    site = next(serving.glob("lib/python*/site-packages"))
    assert (site / "openvino").is_dir()
    assert not (site / "tensorflow").exists()
    assert not (site / "keras").exists()
    assert sum(path.stat().st_size for path in serving.rglob("*") if path.is_file()) < GIGABYTE


def test_installed_wheel_segments_a_phantom(serving: Path, tmp_path: Path) -> None:
    """The installed command writes a phantom and segments it, with nothing of the checkout in reach."""
    command = serving / "bin" / "wmh-node"
    run(command, "phantom", "--out", "head", "--matrix", "64", "--slices", "6", cwd=tmp_path)
    run(command, "segment", "head", "--out", "result", cwd=tmp_path)
    measured = json.loads((tmp_path / "result" / "measurements.json").read_text())
    assert measured["wmh_volume_ml"] > 0


def test_command_without_its_extra_says_which_to_install(serving: Path, tmp_path: Path) -> None:
    """A command that needs TensorFlow names the extra that brings it, without a traceback."""
    (tmp_path / "cases").mkdir()
    ended = run(serving / "bin" / "wmh-node", "train", "cases", "--out", "run", cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert "wmh-node[train]" in ended.stderr
    assert "Traceback" not in ended.stderr
