"""UIDs of results, derived from what they were made of, so that making or sending them again is harmless."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from dicom_node.node.profiles import FIRST_FORM, ObjectKind, SegForm

# A random constant: with another one, every result of every past series would get another UID.
_NAMESPACE: Final = uuid.UUID("6d7b3c1e-6f5b-4a35-9c58-0a7d1f1c9e42")


def uuid_uid(text: str) -> str:
    """The UID 2.25.<UUIDv5 as a number> of a text (PS3.5 B.2); the same text gives the same UID everywhere."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"


def device_uid(model_digest: str) -> str:
    """The Device UID (0018,1002) of the node with one model: it changes when the model does (IHE AIR)."""
    return uuid_uid(f"device\n{model_digest}")


def in_form(uid: str, form: SegForm) -> str:
    """The UID of the same thing in another form of the segmentations: other bytes, other UID.

    Derived from the first form's UID, so that a later report that names its predecessor can derive all.
    """
    return uid if form == FIRST_FORM else uuid_uid(f"{uid}\nform={form.suffix}\n")


@dataclass(frozen=True)
class ResultUids:
    """The UIDs of one result set, from everything that decides what it says (docs/adr/0004).

    Args:
        series_instance_uid: of the source series.
        instances_digest: `dicom_node.series.dicom.digest` of its instances.
        model_digest: of the model bundle.
        runtime, precision: what the model ran on, see `segmentation.ensemble`.
        software_version: of this node.
        predecessor: SOPInstanceUID of the report that this one names as its predecessor; None where it names none.
        comparison: `identity` of what it says about an earlier result of the patient; None where it says nothing.
        refusal: why the series was not analysed, code and words; None where it was.
        region_rule: what counts as periventricular; None where the report has no regions.
    """

    series_instance_uid: str
    instances_digest: str
    model_digest: str
    runtime: str
    precision: str
    software_version: str
    predecessor: str | None = None
    region_rule: str | None = None
    comparison: str | None = None
    refusal: str | None = None

    def of(self, kind: str) -> str:
        """The UID of one thing in the result set; `kind` is a stable slug that no two things share."""
        parts = {
            "series": self.series_instance_uid,
            "instances": self.instances_digest,
            "model": self.model_digest,
            "runtime": self.runtime,
            "precision": self.precision,
            "software": self.software_version,
            "predecessor": self.predecessor or "none",
            # Left out where there is none, so that results without regions keep the UIDs that they always had.
            **({"regions": self.region_rule} if self.region_rule is not None else {}),
            **({"comparison": self.comparison} if self.comparison is not None else {}),
            **({"refusal": self.refusal} if self.refusal is not None else {}),
            "kind": kind,
        }
        return uuid_uid("".join(f"{name}={value}\n" for name, value in parts.items()))

    def series_of(self, kind: ObjectKind, form: SegForm = FIRST_FORM) -> str:
        """SeriesInstanceUID of one kind of object."""
        return in_form(self.of(f"{kind}-series"), form)

    def instance_of(self, kind: ObjectKind, form: SegForm = FIRST_FORM) -> str:
        """SOPInstanceUID of the only instance of its kind."""
        return in_form(self.of(f"{kind}-instance"), form)

    def organization_of(self, kind: ObjectKind, form: SegForm = FIRST_FORM) -> str:
        """DimensionOrganizationUID of a segmentation object."""
        return in_form(self.of(f"{kind}-dimension-organization"), form)

    def page(self, number: int) -> str:
        """SOPInstanceUID of a page of the summary, from 1."""
        return self.of(f"summary-instance-{number}")

    @property
    def wmh_tracking(self) -> str:
        """Tracking UID (0062,0021) that the SEG's segment and the report's measurement group share."""
        return self.of("wmh-tracking")
