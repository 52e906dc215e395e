"""The exceptions of `dicom_node`, one tree (drawn in docs/maintainer/architecture.md).

    WmhNodeError
    ├── NotAnalysable          a series that ends as `rejected`; carries a reason for a technologist
    │   ├── NotFlair
    │   ├── IncompleteSeries
    │   ├── UnreadableObject
    │   ├── UnsupportedGeometry
    │   └── BadTrainingCase    a labelled case in DICOM; its reason begins with the case's name
    ├── ConfinedChildLost      the child that parses what peers sent
    ├── ReceivingError
    ├── ResultError
    │   ├── NoRefusalReport        nobody is told about a refused series: whose or what it is cannot be told
    │   └── ResultNotValid     a result set that failed validation; carries the findings
    ├── DeliveryError
    ├── ModelError             which model to use cannot be told, or a document about it is another model's
    ├── ViewerError            a part of `wmh-node viewer` is missing or does not run
    └── ConfigurationError

The other rooms have a root of their own, since rooms may not import each other:
`segmentation.errors.SegmentationError`, `training.errors.TrainingError`, `db.errors.DatabaseError`.
"""

from __future__ import annotations

_MOST_FINDINGS = 5  # in a message


class WmhNodeError(Exception):
    """Root of everything that `dicom_node` raises on purpose."""


class NotAnalysable(WmhNodeError):
    """A series that cannot be analysed.

    `reason` is one sentence that a technologist understands; `code` is a short, stable slug for scripts and metrics.
    Neither may hold patient data.
    """

    def __init__(self, code: str, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(f"{reason} [{code}]")


class NotFlair(NotAnalysable):
    """The series is readable, but it is not a brain FLAIR."""


class IncompleteSeries(NotAnalysable):
    """Slices are missing, or too few to make a volume."""


class UnreadableObject(NotAnalysable):
    """Bytes that are not the DICOM object they claim to be, or pixels that cannot be decoded."""


class UnsupportedGeometry(NotAnalysable):
    """Slices that do not stack into one regular volume."""


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
    """Nobody is told about a refused series, for a reason that is no fault: whose or what it is cannot be told."""


class ResultNotValid(ResultError):
    """A result set that is not as it must be. `findings` has every one in words, without patient data."""

    def __init__(self, findings: tuple[str, ...]) -> None:
        self.findings = findings
        told = "; ".join(findings[:_MOST_FINDINGS])
        more = len(findings) - _MOST_FINDINGS
        super().__init__(f"the result set is not valid: {told}" + (f"; and {more} more" if more > 0 else ""))


class DeliveryError(WmhNodeError):
    """A result could not be handed to a destination."""


class ModelError(WmhNodeError):
    """Which model to use cannot be told, or a document about a model is another model's."""


class ViewerError(WmhNodeError):
    """A part of the viewer (Orthanc, OHIF) is missing or does not run."""


class ConfigurationError(WmhNodeError):
    """A setting is missing, contradictory or out of range."""
