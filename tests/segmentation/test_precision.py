"""The precision is measured once on each machine."""

from __future__ import annotations

from pathlib import Path

import openvino
import pytest

from segmentation.runtimes import precision
from segmentation.runtimes.precision import Precision, choose_precision, precision_of, remembered


@pytest.mark.parametrize(
    ("f32_seconds", "bf16_seconds", "expected"),
    [(2.0, 1.0, "bf16"), (6.0, 1.0, "bf16"), (1.0, 1.0, "f32"), (1.1, 1.0, "f32"), (1.0, 2.0, "f32")],
)
def test_bf16_where_it_is_clearly_faster(f32_seconds: float, bf16_seconds: float, expected: str) -> None:
    """bf16 has to be worth it: two times that differ by noise give f32."""
    assert precision_of(f32_seconds, bf16_seconds) == expected


def test_measured_once_for_each_machine(tmp_path: Path) -> None:
    """The second start reads what the first one measured, so a busy machine changes no result."""
    answers: list[Precision] = ["bf16", "f32"]
    file = tmp_path / "cache" / "precision.json"
    assert [remembered(file, lambda: answers.pop(0)) for _ in range(3)] == ["bf16"] * 3
    assert [path.name for path in file.parent.iterdir()] == ["precision.json"]


def test_processes_that_measure_at_once_agree(tmp_path: Path) -> None:
    """Of two that measured at the same time, the first to end says it for both: a result names one precision."""
    file = tmp_path / "precision.json"

    def measured_while_another_ends() -> Precision:
        assert remembered(file, lambda: "bf16") == "bf16"
        return "f32"

    assert remembered(file, measured_while_another_ends) == "bf16"
    assert [path.name for path in tmp_path.iterdir()] == ["precision.json"]


@pytest.mark.parametrize("content", ["", "{", '"f64"', "[]", "\xff", "[" * 100_000])
def test_a_file_that_says_nothing_is_measured_again(tmp_path: Path, content: str) -> None:
    """A file that is cut, or holds something else, is replaced by a new measurement."""
    file = tmp_path / "precision.json"
    file.write_text(content, encoding="latin-1")
    assert remembered(file, lambda: "bf16") == "bf16"
    assert remembered(file, lambda: "f32") == "bf16"


def test_without_a_folder_it_is_measured_each_time(tmp_path: Path) -> None:
    """A user without a cache, or with one that cannot be written, costs time and nothing else."""
    (tmp_path / "cache").write_text("a file where the folder should be")
    for file in (None, tmp_path / "cache" / "precision.json"):
        assert remembered(file, lambda: "bf16") == "bf16"


def test_the_probe_runs_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the CPU can do both they are measured; where it cannot, f32 is taken without measuring."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    choose_precision.cache_clear()
    try:
        if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            assert all(seconds > 0 for seconds in precision._measure(1))
            assert choose_precision(1) in {"bf16", "f32"}
            assert len(list((tmp_path / "wmh-node").iterdir())) == 1
        else:
            request = precision._compiled("f32", 1)
            assert request.infer({0: precision.np.ones(precision._SHAPE, "f4")})[0].shape == precision._SHAPE
            assert choose_precision(1) == "f32"
            assert list(tmp_path.iterdir()) == []
    finally:
        choose_precision.cache_clear()
