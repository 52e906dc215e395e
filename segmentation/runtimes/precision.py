"""Which arithmetic is the faster one on this CPU: bfloat16 or float32, measured once and remembered.

No flag of the CPU says it. With AMX bf16 is about six times as fast as f32; with AVX512_BF16 alone it is twice as fast
on some CPUs (AMD Zen 4) and slower on others; without both OpenVINO cannot compile it (docs/maintainer/benchmarks.md).
One answer for each machine, OpenVINO and number of threads, not for each network: a result names one precision.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import openvino
from openvino import opset13 as ops

from segmentation.runtimes.processor import instruction_sets

Precision = Literal["bf16", "f32"]

_WORTH: Final = 1.2
"""So many times as fast bf16 has to be: less is no gain, and within what a busy machine makes of two equal times."""
_ROUNDS: Final = 5
_MOST_BYTES: Final = 64  # of the file: what is longer is not ours
# Four convolutions of 3 x 3 on (batch 4, 32 channels, 128 x 128): half a second in all on two cores.
_SHAPE: Final = (4, 32, 128, 128)
_LAYERS: Final = 4


@cache
def choose_precision(threads: int | None = None) -> Precision:
    """The precision for every network of this process; half a second on a machine where it was not measured before."""
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return "f32"
    return remembered(_file_of(threads), lambda: precision_of(*_measure(threads)))


def precision_of(f32_seconds: float, bf16_seconds: float) -> Precision:
    """What two times, of the same work, say."""
    return "bf16" if bf16_seconds * _WORTH <= f32_seconds else "f32"


def remembered(file: Path | None, measure: Callable[[], Precision]) -> Precision:
    """What the file says, else what is measured, which the file then says; a file that cannot be used costs time only.

    Args:
        file: JSON; None where the user has no folder for such.
    """
    if file is None:
        return measure()
    if (found := _said(file)) is not None:
        return found
    measured = measure()
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, measured)
    return _said(file) or measured  # of several processes that measured at once, the first one's answer is everyone's


def _said(file: Path) -> Precision | None:
    with contextlib.suppress(OSError, ValueError), file.open("rb") as stream:
        said = json.loads(stream.read(_MOST_BYTES))
        if said in ("bf16", "f32"):
            found: Precision = said
            return found
    return None


def _write(file: Path, measured: Precision) -> None:
    whole = file.with_suffix(f".{secrets.token_hex(8)}")
    try:
        whole.write_text(json.dumps(measured))
        try:
            file.hardlink_to(whole)
        except OSError:  # another process was quicker, or the file system has no links
            if _said(file) is None:
                whole.replace(file)
    finally:
        whole.unlink(missing_ok=True)


def _file_of(threads: int | None) -> Path | None:
    """A file in the user's cache (XDG Base Directory), named for the machine, OpenVINO and the threads."""
    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    machine = json.dumps([name, instruction_sets(), openvino.__version__, threads, os.cpu_count(), _WORTH])
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # the user has no home
        return None
    return folder / "wmh-node" / f"precision-{hashlib.sha256(machine.encode()).hexdigest()[:16]}.json"


def _measure(threads: int | None) -> tuple[float, float]:
    """Seconds of the same convolutions in f32 and in bf16: the best of rounds that take turns."""
    images = np.linspace(-1, 1, int(np.prod(_SHAPE)), dtype=np.float32).reshape(_SHAPE)
    requests = [_compiled(precision, threads) for precision in ("f32", "bf16")]
    best = [float("inf")] * len(requests)
    for _ in range(_ROUNDS):
        for index, request in enumerate(requests):
            began = time.perf_counter()
            request.infer({0: images})
            best[index] = min(best[index], time.perf_counter() - began)
    return best[0], best[1]


def _compiled(precision: Precision, threads: int | None) -> Any:
    channels = _SHAPE[1]
    kernel = np.full((channels, channels, 3, 3), 1 / (9 * channels), np.float32)
    values = images = ops.parameter(list(_SHAPE), np.float32, name="images")
    for _ in range(_LAYERS):
        values = ops.relu(ops.convolution(values, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
    model = openvino.Model([values], [images], "probe")
    compiled = openvino.Core().compile_model(model, "CPU", compile_settings(precision, threads))
    return compiled.create_infer_request()


def compile_settings(precision: Precision, threads: int | None) -> dict[str, Any]:
    """OpenVINO's settings for the probe and for the networks alike."""
    settings: dict[str, Any] = {
        # Never left to OpenVINO: it takes bf16 wherever the CPU has it, also where that is slower.
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    return settings if threads is None else {**settings, "INFERENCE_NUM_THREADS": threads}
