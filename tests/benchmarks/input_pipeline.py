"""How many slices a second one core prepares for training: read from the store, augmented, put into a batch.

    python tests/benchmarks/input_pipeline.py [--presets paper-2024 reference reference-brain] [--seconds 10] [--json]

Drawn cases of 24 slices of 256 x 256, in a store on disk. CPU time counts, which a busy machine disturbs less than a
clock. A benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[2])]

from benchmarks.cohort import draw  # noqa: E402

from training.data.batches import Batches  # noqa: E402
from training.data.cases import open_cases  # noqa: E402
from training.data.facts_index import FactsIndex  # noqa: E402
from training.data.presets import Recipe  # noqa: E402
from training.data.recipe_settings import preset  # noqa: E402
from training.data.slice_store import SliceStore  # noqa: E402
from training.data.slices import SlicePool, build_pool  # noqa: E402

_CASES = 6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--presets", nargs="+", default=["paper-2024", "reference", "reference-brain"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        draw(Path(scratch) / "data", _CASES, 24, 256)
        cases = open_cases(Path(scratch) / "data", None, FactsIndex())
        store = SliceStore(Path(scratch) / "slices")
        found = {}
        for name in asked.presets:
            recipe = preset(name)
            pool = build_pool(cases, (), recipe, store)
            found[name] = _rate(pool, recipe, asked.seconds)
    if asked.json:
        print(json.dumps(found, indent=2))
        return
    for name, rate in found.items():
        print(f"{name:<18}{rate:7.0f} slices a second of CPU time")


def _rate(pool: SlicePool, recipe: Recipe, seconds: float) -> float:
    batches = Batches(pool, recipe, 1, 0)
    batches[0]
    made, start = 0, time.process_time()
    while (used := time.process_time() - start) < seconds:
        made += len(batches[made % len(batches)][0])
    return made / used


if __name__ == "__main__":
    main()
