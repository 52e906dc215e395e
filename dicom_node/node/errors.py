"""The exceptions of `dicom_node`, one tree (drawn in docs/maintainer/architecture.md).

    WmhNodeError
    ├── NotAnalysable          a series that ends as `rejected`; carries a reason for a technologist
    │   ├── NotFlair
    │   ├── IncompleteSeries
    │   ├── UnreadableObject
    │   ├── UnsupportedGeometry
    │   └── BadTrainingCase    a labelled case in DICOM; its reason begins with the case's name
    ├── StorageTrouble         STORAGE is away or full; says nothing about the series
    ├── DamagedFiles           received files are not what was received
    ├── ConfinedChildLost      the child that parses what peers sent
    ├── ReceivingError
    ├── ResultError
    │   ├── NoRefusalReport        no report about a refused series: its patient or its kind is unknown
    │   ├── RefusalReportDelayed   it could not be written yet
    │   └── ResultNotValid     a result set that failed validation; carries the findings
    ├── DeliveryError          see also `deliver.failure`: postponed, given up, files lost
    ├── ModelError             the model to use is unknown, or a document about it is another model's
    ├── LoginError             a login at the identity provider that failed; its text is for the person
    ├── ViewerError            a part of `wmh-node viewer` is missing or does not run
    └── ConfigurationError

The other rooms have a root of their own, since rooms may not import each other:
`segmentation.errors.SegmentationError`, `training.errors.TrainingError`, `db.errors.DatabaseError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

_MOST_FINDINGS = 5  # in a message
_MOST_UIDS = 3


class WmhNodeError(Exception):
    """Root of everything that `dicom_node` raises on purpose.

    `permanent`: the same step on the same input ends with it again, so that retrying cannot help.
    """

    permanent: ClassVar[bool] = False


class NotAnalysable(WmhNodeError):
    """A series that cannot be analysed.

    `reason` is one sentence that a technologist understands; `code` is a short, stable slug for scripts and metrics.
    Neither may hold patient data.
    """

    permanent = True

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{reason} [{code}]")


class NotFlair(NotAnalysable):
    """The series is readable, but it is not a brain FLAIR."""


class IncompleteSeries(NotAnalysable):
    """Slices are missing, or too few to make a volume."""

    @classmethod
    def slice_per_series(cls, count: int, fewest: int = 1) -> Self:
        """Each of so many FLAIR series of a study has one slice, or fewer than `fewest`."""
        divided, each = "Each slice is a series of its own", "one image each"
        if fewest > 1:
            divided, each = "The slices are divided among series", f"fewer than {fewest} images each"
        return cls(
            "slice_per_series",
            f"{divided}: {count} FLAIR series of one study have {each}, and slices of one SeriesInstanceUID are "
            "expected. Some export tools make a new UID for each file: send the series from the scanner or the PACS.",
        )


class UnreadableObject(NotAnalysable):
    """Bytes that are not the DICOM object they claim to be, or pixels that cannot be decoded."""


class UnsupportedGeometry(NotAnalysable):
    """Slices that do not stack into one regular volume."""


class StorageTrouble(WmhNodeError):
    """STORAGE is away or takes nothing: no series and no job is decided by what that causes."""


class DamagedFiles(WmhNodeError):
    """Files of a series in STORAGE are not what was received any more, or gone."""

    permanent = True

    def __init__(self, sop_instance_uids: Sequence[str]) -> None:
        some = ", ".join(sop_instance_uids[:_MOST_UIDS]) + (", ..." if len(sop_instance_uids) > _MOST_UIDS else "")
        super().__init__(
            f"{len(sop_instance_uids)} files of the series in the storage are not what was received any more, or gone: "
            f"SOP Instance UID {some}. Check the disk, then send the whole series again (that is enough), or restore "
            "the files from a backup and retry the job"
        )


class ConfinedChildLost(WmhNodeError):
    """A confined child gave no answer.

    `took_too_much`: it reached a limit and was ended, so that the same request would end it again; else it ended by
    itself, the system ended it, or it waited without end, none of which needs to be the request's fault.
    `ended`: not by us.
    """

    def __init__(self, what: str, *, took_too_much: bool, ended: bool = False) -> None:
        self.took_too_much = took_too_much
        self.ended = ended
        super().__init__(f"the process that reads received files {what}")


class BadTrainingCase(NotAnalysable):
    """A labelled case in DICOM that cannot be used for training or evaluation."""


class ReceivingError(WmhNodeError):
    """The receiver cannot take or store an object."""


class ResultError(WmhNodeError):
    """SEG, SR or picture cannot be built from a segmentation."""


class NoRefusalReport(ResultError):
    """No refusal report is sent, because the patient or the kind of series is unknown."""

    permanent = True


class RefusalReportDelayed(ResultError):
    """A refusal report could not be written yet; another attempt may have more memory or time."""

    def __init__(self, refusal: NotAnalysable, trouble: ConfinedChildLost) -> None:
        super().__init__(f"{refusal}; its refusal report could not be written yet: {trouble}")


class ResultNotValid(ResultError):
    """A result set that failed validation. `findings` has every one as text, without patient data."""

    permanent = True

    def __init__(self, findings: tuple[str, ...]) -> None:
        self.findings = findings
        listed = "; ".join(findings[:_MOST_FINDINGS])
        more = len(findings) - _MOST_FINDINGS
        super().__init__(f"the result set failed validation: {listed}" + (f"; and {more} more" if more > 0 else ""))


class DeliveryError(WmhNodeError):
    """A result could not be handed to a destination."""


class ModelError(WmhNodeError):
    """The model to use is unknown, or a document belongs to another model."""


class LoginError(WmhNodeError):
    """A person cannot log in at the identity provider; the text is for that person."""


class ViewerError(WmhNodeError):
    """A part of the viewer (Orthanc, OHIF) is missing or does not run."""


class ConfigurationError(WmhNodeError):
    """A setting is missing, contradictory or out of range."""
