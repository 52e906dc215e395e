from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import tiny_bundle, tiny_model

from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.errors import BadBundle, RuntimeUnavailable
from segmentation.runtimes import choose
from segmentation.runtimes.choose import choose_runtime
from segmentation.runtimes.precision import choose_precision
from segmentation.runtimes.runtime import BATCH

pytestmark = pytest.mark.slow

RUNTIMES = ["openvino", "tensorflow"]
F32_TOLERANCE = 1e-5  # two orders of summation of the same float32 network
BF16_TOLERANCE = 0.05  # eight bits of mantissa through some thirty layers


def images(count: int, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, 256, 256)).astype(np.float32)


@pytest.fixture(scope="module")
def ensembles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ensemble]:
    bundle = tiny_model(tmp_path_factory.mktemp("bundle"), kind="random", members=2)
    return {name: open_ensemble(bundle, name) for name in RUNTIMES}  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", ["published", "text"])
@pytest.mark.parametrize("squeeze_excitation", [True, False])
def test_openvino_computes_what_keras_computes(tmp_path: Path, variant: Any, squeeze_excitation: bool) -> None:
    """The graph that OpenVINO builds from the bundle alone gives Keras's probabilities, for every network there is."""
    bundle = tiny_model(tmp_path, kind="random", variant=variant, squeeze_excitation=squeeze_excitation)
    ours, keras = (open_ensemble(bundle, name) for name in RUNTIMES)  # type: ignore[arg-type]
    batch = images(3)
    expected, found = keras.predict(batch), ours.predict(batch)
    assert expected.std() > 0.01, "the test's network says the same everywhere"
    tolerance = F32_TOLERANCE if ours.precision == "f32" else BF16_TOLERANCE
    np.testing.assert_allclose(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_twice_the_same_bits(ensembles: dict[str, Ensemble], runtime: str) -> None:
    """The same slices give the same bits, call after call."""
    batch = images(6)
    first = ensembles[runtime].predict(batch)
    assert first.tobytes() == ensembles[runtime].predict(batch).tobytes()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_slice_does_not_see_its_neighbours(ensembles: dict[str, Ensemble], runtime: str) -> None:
    """A slice's bits depend neither on how many slices there are, nor on which, nor on its place in the batch."""
    batch = images(2 * BATCH + 1)
    whole = ensembles[runtime].predict(batch)
    for first, last in [(0, 1), (0, 3), (3, 7), (6, 9), (8, 9)]:
        part = ensembles[runtime].predict(batch[first:last])
        assert part.tobytes() == whole[:, first:last].tobytes()


def test_another_process_gives_the_same_bits(tmp_path: Path) -> None:
    """A restarted worker gives the bits that the one before gave, and one thread those of all cores."""
    bundle = tiny_bundle(tmp_path, kind="random")
    code = (
        "import sys, hashlib, numpy as np; from pathlib import Path\n"
        "from segmentation.bundle import load_bundle; from segmentation.ensemble import open_ensemble\n"
        "ensemble = open_ensemble(load_bundle(Path(sys.argv[1])), 'openvino', int(sys.argv[2]) or None)\n"
        "batch = np.random.default_rng(5).normal(0, 1, (5, 256, 256)).astype(np.float32)\n"
        "print(hashlib.sha256(ensemble.predict(batch).tobytes()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code, str(bundle), threads], check=True, capture_output=True, text=True
        ).stdout
        for threads in ["0", "0", "1"]
    }
    assert len(digests) == 1


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_members_keep_their_order(ensembles: dict[str, Ensemble], runtime: str, tmp_path: Path) -> None:
    """Member i of the output is member i of the bundle."""
    members = ensembles[runtime].predict(images(1))
    assert members.shape == (2, 1, 256, 256)
    other = ensembles["openvino" if runtime == "tensorflow" else "tensorflow"].predict(images(1))
    assert np.abs(members[0] - members[1]).max() > 0.1
    np.testing.assert_allclose(members, other, atol=BF16_TOLERANCE)


def test_progress_counts_slices(ensembles: dict[str, Ensemble]) -> None:
    """Progress starts at 0 and ends at the number of slices, padding not counted."""
    seen: list[tuple[int, int]] = []
    ensembles["openvino"].predict(images(6), lambda done, total: seen.append((done, total)))
    assert seen == [(0, 6), (4, 6), (6, 6)]


def test_images_of_another_size_are_refused(ensembles: dict[str, Ensemble]) -> None:
    """A wrong shape is named with the right one."""
    with pytest.raises(ValueError, match=r"expected images \(slice, 256, 256\), got \(2, 128, 128\)"):
        ensembles["openvino"].predict(np.zeros((2, 128, 128), np.float32))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_runtime_and_precision_are_named(ensembles: dict[str, Ensemble], runtime: str) -> None:
    """Every ensemble says what computed it, for the result to say it too."""
    assert ensembles[runtime].runtime == runtime
    assert ensembles[runtime].precision == (choose_precision() if runtime == "openvino" else "f32")


def test_auto_takes_the_gpu_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is TensorFlow with a GPU and OpenVINO without; a runtime asked for by name is that runtime."""
    monkeypatch.setattr(choose, "gpu_visible", lambda: True)
    assert choose_runtime("auto") == "tensorflow"
    assert choose_runtime("openvino") == "openvino"
    monkeypatch.setattr(choose, "gpu_visible", lambda: False)
    assert choose_runtime("auto") == "openvino"
    assert choose_runtime("tensorflow") == "tensorflow"
    with pytest.raises(RuntimeUnavailable, match="expected runtime auto, tensorflow, openvino, got 'torch'"):
        choose_runtime("torch")  # type: ignore[arg-type]


def test_zero_threads_are_refused(tmp_path: Path) -> None:
    """A thread count that means nothing is refused with a clear error."""
    with pytest.raises(RuntimeUnavailable, match="1 or more"):
        open_ensemble(tiny_model(tmp_path), "openvino", threads=0)


def test_keras_refuses_a_network_that_it_builds_differently(tmp_path: Path) -> None:
    """A bundle whose graph this version's Keras network no longer matches is refused, never loaded by luck."""
    from dataclasses import replace

    from segmentation.graph import NetworkGraph

    bundle = tiny_model(tmp_path)
    node = bundle.graph.nodes[2].model_copy(update={"epsilon": 1e-5})
    changed = NetworkGraph((*bundle.graph.nodes[:2], node, *bundle.graph.nodes[3:]))
    with pytest.raises(BadBundle, match="builds another network"):
        open_ensemble(replace(bundle, graph=changed), "tensorflow")


def test_the_openvino_worker_never_loads_tensorflow(tmp_path: Path) -> None:
    """Serving on a CPU imports neither TensorFlow nor Keras: 250 MB in place of 600."""
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from segmentation.bundle import load_bundle; from segmentation.ensemble import open_ensemble\n"
        "from segmentation.segment import segment_volume; from segmentation.volume import FlairVolume\n"
        "ensemble = open_ensemble(load_bundle(Path(sys.argv[1])), 'openvino')\n"
        "segment_volume(FlairVolume(np.ones((4, 64, 64), np.float32), (5.0, 1.0, 1.0)), ensemble)\n"
        "print(sorted({'tensorflow', 'keras', 'pydicom', 'sqlalchemy'} & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_bundle(tmp_path))], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_a_gpu_that_tensorflow_cannot_use_is_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With tensorflow-cpu beside a GPU, `auto` stays with OpenVINO, and does not load TensorFlow to find that out."""
    (tmp_path / "nvidiactl").touch()
    monkeypatch.setattr(choose, "_GPU_DEVICES", (str(tmp_path / "nvidiactl"),))
    monkeypatch.setattr(choose, "_GPU_PACKAGES", ("a-package-that-does-not-exist",))
    assert choose.gpu_visible() is False
    assert "no TensorFlow that can use it" in (choose.why_no_gpu() or "")
    assert choose_runtime("auto") == "openvino"
