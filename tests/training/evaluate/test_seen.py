"""Which cases a bundle was trained on, by patient and by image."""

from __future__ import annotations

import numpy as np

from segmentation.volume import FlairVolume
from training.data.cases import LabelledCase
from training.evaluate.seen import TrainingPatients


def case(patient: str, level: float) -> LabelledCase:
    """One of uniform intensity."""
    volume = FlairVolume(np.full((2, 4, 4), level, np.float32), (5.0, 1.0, 1.0))
    return LabelledCase(f"case-{patient}", patient, volume, np.zeros((2, 4, 4), bool))


def test_an_image_is_known_under_another_name() -> None:
    """The images of a training patient count as seen, by the same members, whatever name they come under."""
    trained, renamed, new = case("A", 1.0), case("ANON-7", 1.0), case("B", 2.0)
    known = TrainingPatients(
        frozenset({"A", "C"}), (frozenset({"A"}), frozenset({"C"})), {trained.volume.voxels_digest: "A"}
    )
    assert [known.saw_case(case) for case in (trained, renamed, new)] == [True, True, False]
    assert [known.members_that_never_saw(known.name_of(case), 2) for case in (trained, renamed, new)] == [
        (0,), (0,), (0, 1)
    ]  # fmt: skip


def test_an_image_is_known_where_names_are_private() -> None:
    """A bundle without patients' names still knows its training images."""
    known = TrainingPatients(images={case("", 1.0).volume.voxels_digest: ""})
    assert known.saw_case(case("X", 1.0)) is True
    assert known.saw_case(case("X", 3.0)) is None
