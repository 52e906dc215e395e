"""Content items that the report's groups share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from highdicom import sr

from dicom_node.results import codes
from dicom_node.results.facts import AnalysisFacts
from dicom_node.version import MANUFACTURER

DECIMALS: Final = 6


def algorithm_of(facts: AnalysisFacts, more: Mapping[str, str] | None = None) -> sr.AlgorithmIdentification:
    """TID 4019: the model and the parameters that it ran with.

    Args:
        facts: who measured it.
        more: parameters of this group alone.
    """
    parameters = {**facts.parameters, **(more or {})}
    return sr.AlgorithmIdentification(
        name=facts.model.name,
        version=facts.model.version,
        parameters=[f"{name}={value}" for name, value in parameters.items()],
        family=codes.ARTIFICIAL_INTELLIGENCE,
        manufacturer=MANUFACTURER,
    )


def volume_measurement(volume_ml: float) -> sr.Measurement:
    """A volume in mL (TID 300)."""
    return sr.Measurement(codes.VOLUME, round(volume_ml, DECIMALS), codes.MILLILITRE)


def comment(text: str) -> sr.TextContentItem:
    """What cannot be coded, in words."""
    return sr.TextContentItem(name=codes.COMMENT, value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
