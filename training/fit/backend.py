"""Which Keras backend trains, chosen before Keras is first imported: it cannot be changed afterwards."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, get_args

from segmentation.runtimes.environment import tensorflow_environment
from training.errors import BackendUnavailable

Backend = Literal["tensorflow", "jax"]
BackendChoice = Literal["auto", "tensorflow", "jax"]

# Packages that let JAX use an NVIDIA GPU; `tensorflow-cpu` cannot use one at all.
_JAX_GPU_PLUGINS: Final = ("jax_cuda13_plugin", "jax_cuda12_plugin", "jax_rocm7_plugin", "jax_rocm60_plugin")
_GPU_DEVICES: Final = ("/dev/nvidiactl", "/dev/kfd")


def choose_backend(choice: BackendChoice = "auto") -> Backend:
    """Resolve `auto`: what Keras has loaded already or KERAS_BACKEND names, else JAX where a GPU and JAX's plugin for
    it are there, else TensorFlow where it is installed, else JAX.

    Raises:
        BackendUnavailable: an unknown name, or a package that is not installed.
    """
    if choice not in get_args(BackendChoice):
        raise BackendUnavailable(f"expected backend {', '.join(get_args(BackendChoice))}, got {choice!r}")
    wanted = _automatic() if choice == "auto" else choice
    if wanted not in get_args(Backend):
        raise BackendUnavailable(f"expected KERAS_BACKEND {' or '.join(get_args(Backend))}, got {wanted!r}")
    if not _installed(wanted):
        raise BackendUnavailable(f"backend {wanted} is not installed: pip install 'wmh-node[jax]' or tensorflow-cpu")
    return "jax" if wanted == "jax" else "tensorflow"


def prepare_backend(backend: Backend, threads: int = 0) -> None:
    """Set the environment that Keras and its backend read when they load.

    Args:
        backend: as `choose_backend` gave it.
        threads: processor threads; 0: all.

    Raises:
        BackendUnavailable: Keras has loaded another backend in this process.
    """
    loaded = _loaded()
    if loaded not in (None, backend):
        raise BackendUnavailable(f"expected backend {backend}, but Keras has loaded {loaded} in this process already")
    os.environ["KERAS_BACKEND"] = backend
    os.environ.update(tensorflow_environment())
    if threads:
        # OpenMP (oneDNN), TensorFlow and XLA's CPU client, in this order.
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "NPROC"):
            os.environ[name] = str(threads)


def _automatic() -> str:
    named = _loaded() or os.environ.get("KERAS_BACKEND")
    if named:
        return named
    has_gpu = any(Path(device).exists() for device in _GPU_DEVICES)
    if has_gpu and any(_installed(plugin) for plugin in _JAX_GPU_PLUGINS):
        return "jax"
    return "tensorflow" if _installed("tensorflow") else "jax"


def _loaded() -> str | None:
    return str(sys.modules["keras"].backend.backend()) if "keras" in sys.modules else None


def _installed(module: str) -> bool:
    return module in sys.modules or find_spec(module) is not None
