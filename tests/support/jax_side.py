"""What a machine without TensorFlow does: `python -m support.jax_side DATA RUN FOREIGN_WEIGHTS OUT.npz`.

TensorFlow cannot be imported here, as if it were not installed (Keras tries it, wherever it can, to serialise a model).
Trains through the command line on JAX, then predicts a fixed image with its own weights and with FOREIGN_WEIGHTS.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from support.training_runs import TINY, tiny_network
from typer.testing import CliRunner


class NoTensorFlow:
    """Stands first among the importers, and knows that there is no TensorFlow."""

    @staticmethod
    def find_spec(name: str, _path: Sequence[str] | None = None, _target: object = None) -> None:
        """Refuse the package and all in it."""
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)


def fixed_images() -> np.ndarray:
    """Two normalised slices, float32 (slice, row, column)."""
    return np.random.default_rng(0).normal(size=(2, 32, 32)).astype(np.float32)


def main(data: str, run: str, foreign: str, out: str) -> None:
    """Print what came of it as JSON."""
    sys.meta_path.insert(0, NoTensorFlow())  # type: ignore[arg-type]
    from dicom_node.cli.main import build_app

    arguments = ["train", data, "--out", run, "--backend", "jax", *TINY]
    result = CliRunner().invoke(build_app("train"), arguments, catch_exceptions=False)
    import keras

    from training.fit.devices import data_parallel
    from training.fit.trained_network import predict_slices

    def predicted(weights: Path) -> np.ndarray:
        network = tiny_network()
        network.load_weights(weights)
        return predict_slices(network, fixed_images())

    own = next((Path(run) / "member-0").glob("epoch-*.weights.h5"))
    np.savez(out, own=predicted(own), foreign=predicted(Path(foreign)))
    with data_parallel() as devices:
        pass
    print(
        json.dumps(
            {
                "exit_code": result.exit_code,
                "output": result.output,
                "backend": keras.backend.backend(),
                "devices": devices,
                "tensorflow": any(name.partition(".")[0] == "tensorflow" for name in sys.modules),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
