"""Seconds per case and peak memory, with both runtimes in one run on the same series.

    python tests/benchmarks/inference.py [--series DIR] [--bundle DIR | --width 1.0] [--repeat N] [--json]

Each runtime runs in its own process, as the worker does, and goes through the worker's own steps: read,
preprocess, infer, measure, write. Without --series it makes a phantom of 24 slices of 512 x 512. --width makes an
untrained ensemble of five SE-UNets of that width, for timing alone. A benchmark, not a test: nothing passes or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

RUNTIMES = ("openvino", "tensorflow")
STAGES = ("read", "preprocess", "infer", "measure", "write")


def main() -> None:
    options = parse()
    if options.worker:
        print(json.dumps(run_worker(options)))
        return
    with tempfile.TemporaryDirectory(prefix="wmh-benchmark-") as scratch:
        report = compare(options, Path(scratch))
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=Path, help="folder of one DICOM series; default: a phantom")
    parser.add_argument("--slices", type=int, default=24, help="slices of the phantom")
    parser.add_argument("--matrix", type=int, default=512, help="rows and columns of the phantom")
    parser.add_argument("--bundle", type=Path, help="model bundle; default: the reference bundle")
    parser.add_argument("--width", type=float, help="an untrained ensemble of this width in place of a bundle")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=list(RUNTIMES))
    parser.add_argument("--repeat", type=int, default=3, help="cases per runtime after the first one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--worker", choices=RUNTIMES, help=argparse.SUPPRESS)
    parser.add_argument("--mask", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    series = options.series or make_series(scratch / "series", options.slices, options.matrix)
    bundle = options.bundle
    if options.width:
        bundle = make_bundle(scratch / "bundle", options.width)
    results = {}
    for runtime in options.runtimes:
        arguments = ["--worker", runtime, "--series", str(series), "--repeat", str(options.repeat)]
        arguments += ["--mask", str(scratch / f"{runtime}.npy")]
        if bundle:
            arguments += ["--bundle", str(bundle)]
        Console(stderr=True).print(f"{runtime}: {1 + options.repeat} cases ...")
        done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
        results[runtime] = json.loads(done.stdout.splitlines()[-1])
    report = {"machine": machine(), "results": results}
    if len(results) == 2:
        masks = [np.load(scratch / f"{runtime}.npy") for runtime in RUNTIMES]
        report["mask_voxels"] = int(masks[1].sum())
        report["mask_flips"] = int((masks[0] ^ masks[1]).sum())
    return report


def make_series(folder: Path, slices: int, matrix: int) -> Path:
    """In its own process, so that the phantom's memory is not inherited by what is measured."""
    code = (
        "import sys; from pathlib import Path\n"
        "from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom\n"
        "from dicom_node.demo.phantom.writing import write_phantom_series\n"
        "folder = Path(sys.argv[1]); folder.mkdir()\n"
        "write_phantom_series(make_phantom(PhantomSpec(slices=int(sys.argv[2]), matrix=int(sys.argv[3]))), folder)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), str(slices), str(matrix)], check=True)
    return folder


def make_bundle(folder: Path, width: float) -> Path:
    code = (
        "import sys; from pathlib import Path; from support.models import tiny_bundle\n"
        "tiny_bundle(Path(sys.argv[1]), members=5, kind='bright', width=float(sys.argv[2]))\n"
    )
    paths = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TF_CPP_MIN_LOG_LEVEL": "2"}
    subprocess.run([sys.executable, "-c", code, str(folder), str(width)], check=True, env=environment)
    return folder


def run_worker(options: argparse.Namespace) -> dict[str, Any]:
    started = time.monotonic()
    from dicom_node.analyse.analysis import analyse_files, write_analysis
    from segmentation.bundle import load_bundle, reference_bundle
    from segmentation.ensemble import open_ensemble

    imported = time.monotonic()
    memory = {"imported": resident_mb()}
    bundle = load_bundle(options.bundle or reference_bundle())
    ensemble = open_ensemble(bundle, options.worker)
    opened = time.monotonic()
    memory["opened"] = resident_mb()

    cases: list[dict[str, float]] = []
    paths = sorted(options.series.rglob("*.dcm")) or sorted(p for p in options.series.rglob("*") if p.is_file())
    for _ in range(1 + options.repeat):
        analysis = analyse_files(paths, ensemble)
        memory["inferred"] = resident_mb()
        with tempfile.TemporaryDirectory() as out:
            before = time.monotonic()
            write_analysis(analysis, ensemble, datetime(2026, 1, 1, tzinfo=UTC), Path(out))
            write = time.monotonic() - before
        seconds = analysis.segmentation.seconds
        cases.append(
            {
                "read": analysis.seconds_read,
                "preprocess": seconds.preprocess,
                "infer": seconds.infer,
                "measure": seconds.measure,
                "write": write,
            }
        )
    np.save(options.mask, analysis.segmentation.mask)
    return {
        "model": {"name": bundle.identity.name, "version": bundle.identity.version, "digest": bundle.identity.digest},
        "network": {**bundle.manifest.architecture.model_dump()},
        "precision": ensemble.precision,
        "shape": list(analysis.segmentation.mask.shape),
        "import_seconds": imported - started,
        "open_seconds": opened - imported,
        "first_case_seconds": sum(cases[0].values()),
        "seconds": {stage: statistics.median(case[stage] for case in cases[1:] or cases) for stage in STAGES},
        "memory_mb": memory | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024},
    }


def resident_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}


def show(report: dict[str, Any]) -> None:
    results = report["results"]
    first = next(iter(results.values()))
    about, network = report["machine"], first["network"]
    console = Console()
    console.print(
        f"{network['members']} x {network['network']} of width {network['width']:g} ({first['model']['name']})"
    )
    console.print(f"series {first['shape']}; {about['cores']} cores of {about['cpu']}, load {about['load']:.1f}")
    table = Table("", *(f"{name} {result['precision']}" for name, result in results.items()))
    for column in table.columns[1:]:
        column.justify = "right"
    for words, key in [("import", "import_seconds"), ("open", "open_seconds"), ("first case", "first_case_seconds")]:
        table.add_row(f"{words}, s", *(f"{result[key]:.2f}" for result in results.values()))
    table.add_section()
    for stage in STAGES:
        table.add_row(f"{stage}, s", *(f"{result['seconds'][stage]:.3f}" for result in results.values()))
    table.add_row("case, s", *(f"{sum(result['seconds'].values()):.2f}" for result in results.values()))
    table.add_section()
    for moment in first["memory_mb"]:
        table.add_row(f"memory, {moment}, MB", *(f"{result['memory_mb'][moment]:.0f}" for result in results.values()))
    console.print(table)
    if "mask_flips" in report:
        console.print(f"mask voxels that differ: {report['mask_flips']} of {report['mask_voxels']}")


if __name__ == "__main__":
    main()
