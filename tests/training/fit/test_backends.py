"""Two backends, one model: either trains, and reads what the other made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.jax_side import fixed_images
from support.labelled_cases import labelled_case, write_cohort
from support.training_runs import command, environment, tiny_network, tiny_recipe

from segmentation.bundle import load_bundle
from training.data.slices import build_pool
from training.errors import BackendUnavailable
from training.fit.backend import choose_backend, prepare_backend
from training.fit.fit import Pools, fit_member
from training.fit.trained_network import predict_slices

# Float32 on both sides; convolutions add in another order.
SAME_PROBABILITY = 1e-4


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_jax_trains_without_tensorflow_and_weights_pass_both_ways(tmp_path: Path) -> None:
    """On JAX, on two devices and where TensorFlow cannot be imported, `wmh-node train` ends with a bundle; predictions
    of either backend's weights agree on both within 1e-4."""
    recipe = tiny_recipe(epochs=1)
    pool = build_pool([labelled_case("a"), labelled_case("b", seed=1)], [], recipe)
    made_here = fit_member(Pools(pool, pool), recipe, 1, tmp_path / "here")
    data, run, out = write_cohort(tmp_path / "data", 3), tmp_path / "run", tmp_path / "there.npz"
    there = subprocess.run(
        command("support.jax_side", data, run, made_here, out),
        env=environment(XLA_FLAGS="--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert there.returncode == 0, there.stderr[-3000:]
    said = json.loads(there.stdout.splitlines()[-1])
    assert (said["exit_code"], said["backend"], said["devices"]) == (0, "jax", 2), said["output"]
    assert not said["tensorflow"]
    assert load_bundle(run / "bundle").members == 1
    made_there = next((run / "member-0").glob("epoch-002.weights.h5"))
    predictions = np.load(out)
    for name, weights in (("foreign", made_here), ("own", made_there)):
        network = tiny_network()
        network.load_weights(weights)
        np.testing.assert_allclose(
            predict_slices(network, fixed_images()), predictions[name], rtol=0, atol=SAME_PROBABILITY
        )


_TWO_TENSORFLOW_DEVICES = """
import sys
from pathlib import Path
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)
from support.labelled_cases import labelled_case
from support.training_runs import tiny_recipe
from training.fit.devices import data_parallel
from training.fit.fit import Pools, fit_member
from training.data.slices import build_pool
from training.fit.validation import build_validation
recipe = tiny_recipe(epochs=1, steps_per_epoch=None)
pool = build_pool([labelled_case("a")], [], recipe)  # three slices: the second batch is one slice for two devices
records = []
validation = build_validation([labelled_case("v", seed=5)], recipe, 1)
fit_member(Pools(pool, pool), recipe, 1, Path(sys.argv[1]), validation=validation, on_epoch=records.append)
with data_parallel() as devices:
    print(devices, records[0].validation_dsc is not None)
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tensorflow_trains_on_two_devices(tmp_path: Path) -> None:
    """Where TensorFlow has two devices, both share every batch, and the epoch is saved as from one."""
    there = subprocess.run(
        [sys.executable, "-c", _TWO_TENSORFLOW_DEVICES, str(tmp_path)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert there.returncode == 0, there.stderr[-3000:]
    assert there.stdout.splitlines()[-1] == "2 True"
    network = tiny_network()
    network.load_weights(tmp_path / "epoch-001.weights.h5")
    assert all(np.isfinite(values).all() for values in network.get_weights())


def test_which_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is loaded stays; another one is refused with a clear error, as is an unknown name."""
    import keras

    loaded = keras.backend.backend()
    other = {"tensorflow": "jax", "jax": "tensorflow"}[loaded]
    assert choose_backend("auto") == loaded
    with pytest.raises(BackendUnavailable, match=f"expected backend {other}, but Keras has loaded {loaded}"):
        prepare_backend(choose_backend(other))
    with pytest.raises(BackendUnavailable, match="got 'torch'"):
        choose_backend("torch")  # type: ignore[arg-type]
