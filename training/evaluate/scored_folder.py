"""Scores of single cases on disk, so that an evaluation of days goes on where it was, and machines share the work."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from training.errors import BadCohort, BadEvaluation, NotSaved
from training.evaluate.calibration import ReliabilityCounts
from training.evaluate.document import CaseRecord
from training.evaluate.inter_rater import RatedCase
from training.evaluate.scored_case import ScoredCase
from training.files import write_whole
from training.json_document import FrozenRecord, JsonDocument


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `count` parts of the cases.

    Raises:
        BadCohort: there is no such part.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise BadCohort(f"--shard: expected a part 1/N to N/N, such as 2/4, got {self.number}/{self.count}")

    @classmethod
    def of_text(cls, text: str) -> Self:
        """`2/4`: the second of four.

        Raises:
            BadCohort: it is not that.
        """
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal()):
            raise BadCohort(f"--shard: expected a part 1/N to N/N, such as 2/4, got {text!r}")
        return cls(int(number), int(count))

    def has(self, place: int) -> bool:
        """Whether the case at this place (from 0) is in it."""
        return place % self.count == self.number - 1


class _Counts(FrozenRecord):
    voxels: tuple[float, ...]
    probability: tuple[float, ...]
    lesion: tuple[float, ...]
    squared_error: float


class _Rated(FrozenRecord):
    volumes_ml: Mapping[str, float]
    mean_dsc: float
    model_dsc: float


class _ScoredFile(JsonDocument):
    """One case. `asked` is a digest of all that decides the score: case, model, members, settings."""

    FILE_NAME: ClassVar[str] = "scored case"

    asked: str
    record: CaseRecord
    reliability: _Counts
    rated: _Rated | None = None


class ScoredFolder:
    """FOLDER/<case>.json: the score of one case. A score that was asked for otherwise counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, case: str, asked: str) -> ScoredCase | None:
        """The score of a case; None when it is not there, cannot be read, or answers another question."""
        try:
            found = _ScoredFile.from_json((self._folder / f"{case}.json").read_bytes())
        except (OSError, BadEvaluation):
            return None
        if found.asked != asked:
            return None
        counts = found.reliability
        return ScoredCase(
            found.record,
            ReliabilityCounts(
                np.array(counts.voxels), np.array(counts.probability), np.array(counts.lesion), counts.squared_error
            ),
            None if found.rated is None else RatedCase(**found.rated.model_dump()),
        )

    def write(self, scored: ScoredCase, asked: str) -> None:
        """Keep a score.

        Raises:
            NotSaved: the disk is full; the scores before it are kept.
        """
        counts, rated = scored.reliability, scored.rated
        document = _ScoredFile(
            asked=asked,
            record=scored.record,
            reliability=_Counts(
                voxels=tuple(counts.voxels.tolist()),
                probability=tuple(counts.probability.tolist()),
                lesion=tuple(counts.lesion.tolist()),
                squared_error=counts.squared_error,
            ),
            rated=None
            if rated is None
            else _Rated(volumes_ml=dict(rated.volumes_ml), mean_dsc=rated.mean_dsc, model_dsc=rated.model_dsc),
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{scored.record.case}.json", document.to_json())
        except OSError as error:
            raise NotSaved(
                f"{self._folder.name}/: the score of {scored.record.case} could not be written ({error.strerror}); "
                "free some space and run the same command again: it goes on from here"
            ) from error


def asked_of(*parts: object) -> str:
    """Digest of a question, from values whose `repr` says all of them."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()
