"""Seconds of one training step beside PyTorch: the same network, batch and loss, on one core.

    python tests/benchmarks/training_step.py [--width 0.5] [--batch 8] [--crop 160] [--threads 1] [--steps 6] [--json]
        [--torch-python /path/to/a/python/with/torch]

Each backend runs in its own process: TensorFlow as a training sets it up, TensorFlow without oneDNN, JAX, and PyTorch
(channels_last, fused Adam) where an interpreter has it. PyTorch is no dependency of ours: `make bench` makes an
environment with `torch_peer.txt` in it; another one is named by --torch-python or WMH_NODE_TORCH_PYTHON. A benchmark,
not a test: nothing passes or fails.
The ratio is ours by PyTorch's, of CPU time: other programs may use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ENGINES = ("tensorflow", "tensorflow without oneDNN", "jax", "pytorch")
_TORCH_STEP = Path(__file__).with_name("torch_step.py")


def main() -> None:
    options = parse()
    if options.engine:
        print(json.dumps(keras_step(options)))
        return
    results = {engine: found for engine in ENGINES if (found := measured(engine, options))}
    report: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "network": {"width": options.width, "batch": options.batch, "crop": options.crop, "threads": options.threads},
        "results": results,
    }
    if "pytorch" in results:
        peer = results["pytorch"]["cpu_seconds"]
        report["ratio to pytorch"] = {
            name: round(found["cpu_seconds"] / peer, 2) for name, found in results.items() if name != "pytorch"
        }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=0.5, help="of the SE-UNet")
    parser.add_argument("--batch", type=int, default=8, help="slices of a step")
    parser.add_argument("--crop", type=int, default=160, help="rows and columns")
    parser.add_argument("--threads", type=int, default=1, help="processor threads")
    parser.add_argument("--steps", type=int, default=6, help="steps that are timed; the median counts")
    parser.add_argument("--torch-python", default=os.environ.get("WMH_NODE_TORCH_PYTHON", sys.executable))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--engine", choices=ENGINES[:3], help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(engine: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """One engine in a process of its own; None where it is not installed."""
    numbers = [f"--{name}={getattr(options, name)}" for name in ("width", "batch", "crop", "threads", "steps")]
    if engine == "pytorch":
        command = [options.torch_python, str(_TORCH_STEP), *numbers]
    else:
        command = [sys.executable, __file__, *numbers, f"--engine={engine}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS_"))}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    if engine == "tensorflow without oneDNN":
        environment["TF_ENABLE_ONEDNN_OPTS"] = "0"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no words"])[-1]
        Console(stderr=True).print(f"{engine}: not measured: {reason}", markup=False)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def keras_step(options: argparse.Namespace) -> dict[str, Any]:
    from training.fit.backend import prepare_backend

    prepare_backend("jax" if options.engine == "jax" else "tensorflow", options.threads)
    if options.engine == "jax" and options.threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import keras
    import numpy as np

    from segmentation.networks.specification import NetworkSpecification
    from segmentation.networks.unet import build_network
    from training.fit.losses import dice_and_cross_entropy

    model = build_network(replace(NetworkSpecification(width=options.width), size=options.crop), seed=1)
    model.compile(keras.optimizers.Adam(1e-3), dice_and_cross_entropy, jit_compile=options.engine == "jax")
    generator = np.random.default_rng(1)
    images = generator.random((options.batch, options.crop, options.crop, 1), dtype=np.float32)
    labels = (images > 0.9).astype(np.float32)
    found = timed(lambda: float(model.train_on_batch(images, labels)), options.steps)
    return found | {"version": keras.__version__, "parameters": int(model.count_params())}


def timed(step: Callable[[], object], steps: int) -> dict[str, float]:
    """Median seconds of a step after two that warm up: by the clock, and of the processor."""
    step(), step()
    wall, cpu = [], []
    for _ in range(steps):
        started, used = time.monotonic(), time.process_time()
        step()
        wall.append(time.monotonic() - started)
        cpu.append(time.process_time() - used)
    return {"wall_seconds": round(statistics.median(wall), 3), "cpu_seconds": round(statistics.median(cpu), 3)}


def show(report: dict[str, Any]) -> None:
    table = Table("engine", "wall s", "CPU s", "to PyTorch", title=f"one training step: {report['network']}")
    for name, found in report["results"].items():
        ratio = report.get("ratio to pytorch", {}).get(name, "")
        table.add_row(name, str(found["wall_seconds"]), str(found["cpu_seconds"]), str(ratio))
    Console().print(table)


if __name__ == "__main__":
    main()
