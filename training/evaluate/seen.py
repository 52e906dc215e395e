"""Which patients a bundle was trained on, so that a score on them is not taken for a score on new patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from segmentation.bundle import ModelBundle
from training.data.cases import Case
from training.evaluate.document import CaseRecord


@dataclass(frozen=True)
class TrainingPatients:
    """What a bundle states about the patients that it was trained on.

    Attributes:
        patients: their names; None when the bundle names none.
        held_out: per member (from 0), those of `patients` that it never saw; None when the bundle does not state it.
        images: digest of each image that was trained on -> its patient; empty when the bundle does not state it.
    """

    patients: frozenset[str] | None = None
    held_out: tuple[frozenset[str], ...] | None = None
    images: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: ModelBundle) -> TrainingPatients:
        """Read the manifest."""
        training = bundle.manifest.training
        return cls(
            None if training.patients is None else frozenset(training.patients),
            None if training.held_out is None else tuple(frozenset(names) for names in training.held_out),
            dict(training.images or {}),
        )

    def name_of(self, case: Case) -> str:
        """The case's patient by the name in the bundle: an image that was trained on is known under any name."""
        if not self.images:
            return case.patient
        return self.images.get(case.facts.image_digest) or case.patient

    def saw_case(self, case: Case) -> bool | None:
        """As `saw`, of a case: true also where only the image is known."""
        if self.images and case.facts.image_digest in self.images:
            return True
        return self.saw(case.patient)

    def saw(self, patient: str) -> bool | None:
        """True when a member may have seen this patient; None when the bundle names none."""
        return None if self.patients is None else patient in self.patients

    def members_that_never_saw(self, patient: str, members: int) -> tuple[int, ...]:
        """Members (from 0) that may be scored on this patient: all for a new one, none if it is unknown."""
        if self.patients is None:
            return ()
        if patient not in self.patients:
            return tuple(range(members))
        return tuple(member for member, names in enumerate(self.held_out or ()) if patient in names)


def is_by_seen_ventricles(record: CaseRecord) -> bool:
    """The DSC of the ventricles is by a network that counts as having seen the patient.

    A bundle has one ventricle network for all members; the patients that it never saw are not recorded.
    """
    return bool(record.seen_in_training) and record.ventricle_dsc is not None


def is_divided_by_seen_ventricles(record: CaseRecord) -> bool:
    """Periventricular and deep are divided by such a network's ventricles."""
    return bool(record.seen_in_training) and record.regions_by == "predicted ventricles"


def seen_ventricles_note(seen: int, cases: int) -> str:
    """What stands beside a number that rests on such ventricles in `seen` of `cases` cases; empty for none."""
    return f"the ventricle network counts as having seen the patients of {seen} of {cases} cases" if seen else ""


def seen_note(records: Sequence[CaseRecord], *, unseen_members: bool) -> str:
    """The sentences that the report prints first; empty when all patients are new to the model."""
    if any(record.seen_in_training is None for record in records):
        return (
            "The model does not say on which patients it was trained: if these are among them, the figures are too "
            "good."
        )
    seen = sum(record.seen_in_training is True for record in records)
    if not seen:
        return ""
    note = f"{seen} of {len(records)} cases are of patients on which the model was trained"
    if unseen_members:
        note += (
            "; their WMH were scored only by members that never saw the patient, and their uncertainty index is that "
            "of these members, not the one that is served."
        )
    else:
        note += ": the figures show how well it knows them, not how well it does on new patients."
    return f"{note}{_about_ventricles(records)}"


def _about_ventricles(records: Sequence[CaseRecord]) -> str:
    rests = [
        what
        for what, is_known in (
            ("the DSC of the ventricles", is_by_seen_ventricles),
            ("the division into periventricular and deep", is_divided_by_seen_ventricles),
        )
        if any(map(is_known, records))
    ]
    if not rests:
        return ""
    return (
        " The ventricle network is one for all members and counts as having seen these patients: "
        f"{' and '.join(rests)} {'say' if len(rests) > 1 else 'says'} nothing about new patients."
    )
