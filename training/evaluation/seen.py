"""Which patients a bundle was trained on, so that nobody takes a score on them for a score on new patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation.bundle import ModelBundle
from training.cases import LabelledCase


@dataclass(frozen=True)
class TrainingPatients:
    """What a bundle says of the patients that it was trained on.

    Attributes:
        patients: their names; None when the bundle names nobody.
        held_out: per member (from 0), those of `patients` that it never saw; None when the bundle does not tell.
    """

    patients: frozenset[str] | None = None
    held_out: tuple[frozenset[str], ...] | None = None

    @classmethod
    def of(cls, bundle: ModelBundle) -> TrainingPatients:
        """Read the manifest."""
        training = bundle.manifest.training
        patients = getattr(training, "patients", None)
        held_out = getattr(training, "held_out", None)
        return cls(
            None if patients is None else frozenset(patients),
            None if held_out is None else tuple(frozenset(names) for names in held_out),
        )

    def saw(self, patient: str) -> bool | None:
        """True when a member may have seen this patient; None when the bundle names nobody."""
        return None if self.patients is None else patient in self.patients

    def members_that_never_saw(self, patient: str, members: int) -> tuple[int, ...]:
        """Members (from 0) that may be judged on this patient: all for a new one, none if the bundle does not tell."""
        if self.patients is None:
            return ()
        if patient not in self.patients:
            return tuple(range(members))
        return tuple(member for member, names in enumerate(self.held_out or ()) if patient in names)


def seen_note(cases: Sequence[LabelledCase], known: TrainingPatients, unseen_members: bool) -> str:
    """The sentence that the report prints first; empty when all patients are new to the model."""
    if known.patients is None:
        return (
            "The model does not say on which patients it was trained: if these are among them, the figures are too "
            "good."
        )
    seen = [case for case in cases if case.patient in known.patients]
    if not seen:
        return ""
    start = f"{len(seen)} of {len(cases)} cases are of patients on which the model was trained"
    if unseen_members:
        return f"{start}; each was judged only by the members that never saw its patient."
    return f"{start}: the figures say how well it knows them, not how well it will do on new ones."
