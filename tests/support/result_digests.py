"""SHA-256 of masks, probabilities and result files of phantoms, one line each.

    python tests/support/result_digests.py > after.txt

A commit that only moves code gives the same lines as the one before it, on the same machine (another processor may
compute with other rounding). Of measurements.json the seconds are left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from dicom_node import segment_series
from dicom_node.node.profiles import PROFILES
from segmentation import load_bundle
from segmentation.bundle import reference_bundle
from segmentation.ensemble import open_ensemble

_ARRIVED = 1_774_747_815  # results carry the time at which the files came

_SHAPES: dict[int, tuple[str, ...]] = {1: (), 2: ("--oblique", "12"), 3: ("--enhanced",)}  # by the phantom's seed


def _phantom(folder: Path, seed: int) -> list[Path]:
    command = [sys.executable, "-m", "dicom_node.cli", "phantom", "--out", str(folder), "--seed", str(seed)]
    command += ["--slices", "14", "--matrix", "160", *_SHAPES[seed]]
    subprocess.run(command, check=True, capture_output=True)
    files = sorted(folder.rglob("*.dcm"))
    for path in files:
        os.utime(path, (_ARRIVED, _ARRIVED))
    return files


def _content(path: Path) -> bytes:
    if path.suffix != ".json":
        return path.read_bytes()
    document = json.loads(path.read_bytes())
    document.pop("seconds")
    return json.dumps(document, sort_keys=True).encode()


def main() -> None:
    """Print the digests."""
    ensemble = open_ensemble(load_bundle(reference_bundle()))
    with tempfile.TemporaryDirectory() as made:
        for seed in _SHAPES:
            files = _phantom(Path(made, f"phantom-{seed}"), seed)
            for name in sorted(PROFILES):
                result = segment_series(files, Path(made, f"{seed}-{name}"), ensemble=ensemble, profile=name)
                arrays = {"mask": result.segmentation.mask, "probability": result.segmentation.probability}
                found = {key: array.tobytes() for key, array in arrays.items()}
                found |= {path.name: _content(path) for path in result.files}
                for key, content in sorted(found.items()):
                    print(seed, name, key, hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
