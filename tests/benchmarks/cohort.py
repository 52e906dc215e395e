"""What training and evaluation cost in memory as a cohort grows: peak of the largest process, disk and time.

    python tests/benchmarks/cohort.py [--patients 100 2000] [--slices 24] [--size 256] [--folder DIR] [--json]

Heads are drawn, every patient another one; `wmh-node train` goes a few steps of one member at a quarter of the width,
`wmh-node evaluate` scores all patients with that member. A benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

import nibabel  # noqa: E402
import numpy as np  # noqa: E402
from scipy import ndimage  # noqa: E402

AFFINE = np.diag([-0.9, -0.9, 5.0, 1.0])
SETTINGS = ("--set", "network.width=0.25", "--set", "epochs=1", "--set", "steps_per_epoch=5", "--members", "1")


@dataclass(frozen=True)
class Cost:
    """Of one command on one cohort."""

    command: str
    patients: int
    peak_gb: float
    seconds: float
    disk_gb: float


def main() -> None:
    """Draw, train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, nargs="+", default=[100, 2000])
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found: list[Cost] = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
        for patients in sorted(asked.patients):
            data, run = Path(scratch) / "data", Path(scratch) / f"run-{patients}"
            draw(data, patients, asked.slices, asked.size)
            report = Path(scratch) / f"report-{patients}"
            found.append(measured("train", patients, run, ("train", data, "--out", run, *SETTINGS)))
            bundle = run / "bundle"
            found.append(
                measured("evaluate", patients, report, ("evaluate", data, "--bundle", bundle, "--out", report))
            )
    if asked.json:
        print(json.dumps([asdict(cost) for cost in found], indent=2))
        return
    for cost in found:
        print(
            f"{cost.command:<9}{cost.patients:>6} patients  {cost.peak_gb:6.2f} GB peak  {cost.disk_gb:6.2f} GB disk  "
            f"{cost.seconds:7.0f} s"
        )


def draw(folder: Path, patients: int, slices: int, size: int) -> None:
    """Case folders p0000, p0001, ...; those that are there stay."""
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    radius = np.hypot(rows / 0.42, columns / 0.34)
    for number in range(patients):
        case = folder / f"p{number:04d}"
        if case.exists():
            continue
        case.mkdir(parents=True)
        generator = np.random.default_rng(number)
        texture = ndimage.zoom(generator.normal(size=(slices, 16, 16)), (1, size / 16, size / 16), order=1)
        head = np.where(radius < 1, 300 + 12 * texture, 4 * np.abs(texture))
        head[:, (radius > 0.86) & (radius < 0.95)] = 60
        wmh = np.zeros(head.shape, bool)
        for _ in range(int(generator.integers(2, 12))):
            deep, high, wide = (int(generator.integers(length // 3, 2 * length // 3)) for length in head.shape)
            wmh[deep, high : high + 6, wide : wide + 9] = True
        head[wmh] = 520
        write(case / "flair.nii.gz", head.round().astype(np.int16))
        write(case / "wmh.nii.gz", wmh.astype(np.uint8))


def write(path: Path, array: np.ndarray) -> None:
    """(slice, row, column) in LPS as NIfTI."""
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), AFFINE), path)


def measured(name: str, patients: int, out: Path, arguments: tuple[str | Path, ...]) -> Cost:
    """Run a command; the peak is that of its largest process."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "dicom_node.cli", *map(str, arguments), "--json"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{name} ended with {child.returncode}")
    disk = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Cost(name, patients, usage.ru_maxrss / 2**20, time.perf_counter() - start, disk / 1e9)


if __name__ == "__main__":
    main()
