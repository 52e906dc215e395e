"""The soak itself: it finds what it is there to find, and a tally is counted on."""

from __future__ import annotations

from pathlib import Path

import pytest
from soak.kinds import Kind, Withdrawal, Work
from soak.power import cuts
from soak.soak import Soak
from soak.steps import killed_at, steps_of

from dicom_node.node import files, outbox


def test_a_kill_comes_before_the_step_that_is_named(tmp_path: Path) -> None:
    """Of two folders the second is not made where the second step is fatal; behind the last step nothing is."""

    def work() -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()

    assert killed_at(work, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    (tmp_path / "one").rmdir()
    assert steps_of(work) == 2
    (tmp_path / "one").rmdir()
    (tmp_path / "two").rmdir()
    assert not killed_at(work, 3)


@pytest.mark.slow
def test_a_worker_killed_at_each_step(tmp_path: Path) -> None:
    """Publishing a result set: at none of its steps is anything lost or doubled."""
    kind = Work(tmp_path / "template")
    kind.copy(tmp_path / "once")
    for step in range(1, steps_of(lambda: kind.work(tmp_path / "once")) + 1):
        folder = tmp_path / str(step)
        kind.copy(folder)
        assert killed_at(lambda: kind.work(folder), step)  # noqa: B023 - called at once
        assert kind.after_kill(folder) == [], step
        kind.work(folder)
        assert kind.at_the_end(folder) == [], step


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "room"), [(Work, outbox), (Withdrawal, files)])
def test_a_flush_that_is_left_out_is_found(
    kind: type[Kind], room: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every flush a power cut takes nothing; without those of folders it does."""
    made = kind(tmp_path / "template")
    assert cuts(made, tmp_path / "one")[1] == []
    monkeypatch.setattr(room, "sync_folder", lambda _: None)
    assert cuts(made, tmp_path / "two")[1] != []


@pytest.mark.slow
def test_a_tally_is_counted_on(tmp_path: Path) -> None:
    """Kills of an earlier run are kept, and the next one is another."""
    soak = Soak(tmp_path, 1, {"seed": 1, "kills": {"work": 3}, "lost": ["x"], "doubled": []})
    soak.one()
    assert soak.kills.total() == 4
    assert soak.document["lost"] == ["x"]
