"""How bright WMH is beside the brain: python tests/benchmarks/lesion_brightness.py FOLDER...

FOLDER: of labelled cases, or of drawn scans (`training.synthesis.stream`). Prints for each scan the median of its WMH
over the median of the rest of the brain, and over its 85th percentile, about where grey matter lies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402

from training.bundle.vendor_scores import in_slabs  # noqa: E402
from training.data.cases import LabelledCase, load_cases  # noqa: E402
from training.synthesis.stream import as_case, has_scans, scan_files  # noqa: E402


def cases_of(folder: Path) -> Iterator[LabelledCase]:
    """Labelled cases or drawn scans, thin slices averaged."""
    found = map(as_case, scan_files(folder)) if has_scans(folder) else load_cases(folder)
    yield from map(in_slabs, found)


def brightness(case: LabelledCase) -> tuple[float, float] | None:
    """Median of the WMH over the median, and over the 85th percentile, of the rest of the brain; None without WMH."""
    brain = case.volume.voxels > 0 if case.brain is None else case.brain
    rest = brain & ~case.wmh if case.ventricles is None else brain & ~case.wmh & ~case.ventricles
    if not case.wmh.any() or not rest.any():
        return None
    middle = float(np.median(case.volume.voxels[case.wmh]))
    median, bright = np.percentile(case.volume.voxels[rest], (50, 85))
    return middle / float(median), middle / float(bright)


def main(folders: list[Path]) -> None:
    """A line a scan."""
    for folder in folders:
        for case in cases_of(folder):
            if (found := brightness(case)) is not None:
                print(f"{folder.name:24} {case.name:14} {found[0]:.2f} {found[1]:.2f}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("lesion_brightness.py: expected folders of labelled cases or drawn scans, got none")
    main([Path(folder) for folder in sys.argv[1:]])
