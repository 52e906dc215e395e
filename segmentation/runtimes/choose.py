"""Which runtime: OpenVINO on a CPU, TensorFlow where a GPU is visible."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Literal, get_args

from segmentation.errors import RuntimeUnavailable
from segmentation.networks.network_set import NetworkSet
from segmentation.runtimes.runtime import Runtime

RuntimeChoice = Literal["auto", "tensorflow", "openvino"]

# The device nodes of NVIDIA (compute) and AMD (ROCm), and the packages that can use them; `tensorflow-cpu` cannot.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/kfd")
_GPU_PACKAGES = ("tensorflow", "tensorflow-rocm")


def gpu_visible() -> bool:
    """Whether TensorFlow has a GPU here."""
    return why_no_gpu() is None


def why_no_gpu() -> str | None:
    """Why no GPU computes here, and what to do about it; None when one does.

    The cheap questions come first: loading TensorFlow costs 5 s and 400 MB, which a machine without a GPU should not
    pay for the answer "none".
    """
    if not any(Path(device).exists() for device in _GPU_DEVICES):
        return f"no GPU here: there is neither {' nor '.join(_GPU_DEVICES)}"
    if not any(_installed(package) for package in _GPU_PACKAGES):
        return "there is a GPU, but no TensorFlow that can use it: pip install 'wmh-node[gpu]', not beside train"
    from segmentation.runtimes.tensorflow import gpu_count

    if gpu_count() > 0:
        return None
    return (
        "there is a GPU, but TensorFlow sees none: may this user open /dev/nvidia*, does the driver fit CUDA, and is "
        "CUDA_VISIBLE_DEVICES not empty?"
    )


def _installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def choose_runtime(choice: RuntimeChoice) -> Literal["tensorflow", "openvino"]:
    """Resolve `auto`; any other choice is returned unchanged.

    Raises:
        RuntimeUnavailable: an unknown name.
    """
    if choice not in get_args(RuntimeChoice):
        raise RuntimeUnavailable(f"expected runtime {', '.join(get_args(RuntimeChoice))}, got {choice!r}")
    if choice == "auto":
        return "tensorflow" if gpu_visible() else "openvino"
    return choice


def open_runtime(networks: NetworkSet, choice: RuntimeChoice, threads: int | None) -> Runtime:
    """Compile networks of one architecture; imports only the runtime that it opens.

    Raises:
        RuntimeUnavailable: the runtime is not installed, or cannot compile the network on this machine.
        BadBundle: the weights do not fit the network.
    """
    if threads is not None and threads < 1:
        raise RuntimeUnavailable(f"expected 1 or more inference threads, got {threads}")
    name = choose_runtime(choice)
    try:
        if name == "openvino":
            from segmentation.runtimes.openvino import OpenVinoRuntime

            return OpenVinoRuntime(networks, threads)
        from segmentation.runtimes.tensorflow import TensorFlowRuntime

        return TensorFlowRuntime(networks, threads)
    except ImportError as error:
        raise RuntimeUnavailable(
            f"runtime {name} is not installed: {error}. Install it with: pip install 'wmh-node[train]' (TensorFlow), "
            "or use runtime openvino"
        ) from error
