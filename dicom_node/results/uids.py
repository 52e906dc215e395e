"""UIDs of results, derived from what they were made of, so that making or sending them again is harmless."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

# A random constant: with another one, every result of every past series would get another UID.
_NAMESPACE: Final = uuid.UUID("6d7b3c1e-6f5b-4a35-9c58-0a7d1f1c9e42")


def uuid_uid(text: str) -> str:
    """The UID 2.25.<UUIDv5 as a number> of a text (PS3.5 B.2); the same text gives the same UID everywhere."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, text).int}"


def device_uid(model_digest: str) -> str:
    """The Device UID (0018,1002) of the node with one model: it changes when the model does (IHE AIR)."""
    return uuid_uid(f"device\n{model_digest}")


@dataclass(frozen=True)
class ResultUids:
    """The UIDs of one result set, from everything that decides what it says (docs/adr/0004).

    Args:
        series_instance_uid: of the source series.
        instances_digest: `dicom_node.reading.digest` of its instances.
        model_digest: of the model bundle.
        runtime, precision: what the model ran on, see `segmentation.ensemble`.
        software_version: of this node.
        predecessor: SOPInstanceUID of the report that this one names as its predecessor; None where it names none.
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
            "kind": kind,
        }
        return uuid_uid("".join(f"{name}={value}\n" for name, value in parts.items()))

    @property
    def seg_series(self) -> str:
        """SeriesInstanceUID of the SEG."""
        return self.of("seg-series")

    @property
    def seg_instance(self) -> str:
        """SOPInstanceUID of the SEG."""
        return self.of("seg-instance")

    @property
    def sr_series(self) -> str:
        """SeriesInstanceUID of the measurement report."""
        return self.of("sr-series")

    @property
    def sr_instance(self) -> str:
        """SOPInstanceUID of the measurement report."""
        return self.of("sr-instance")

    @property
    def wmh_tracking(self) -> str:
        """Tracking UID (0062,0021) that the SEG's segment and the report's measurement group share."""
        return self.of("wmh-tracking")

    @property
    def periventricular_tracking(self) -> str:
        """Tracking UID of the periventricular WMH."""
        return self.of("wmh-periventricular-tracking")

    @property
    def deep_tracking(self) -> str:
        """Tracking UID of the deep WMH."""
        return self.of("wmh-deep-tracking")

    @property
    def ventricles_tracking(self) -> str:
        """Tracking UID of the ventricles."""
        return self.of("ventricles-tracking")

    @property
    def dimension_organization(self) -> str:
        """DimensionOrganizationUID of the SEG."""
        return self.of("seg-dimension-organization")
