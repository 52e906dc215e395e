"""Leave-patients-out scores of one recipe, kept as JSON: members that take hours are trained on different days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar, Self

from training.bundle.scores import MemberScore
from training.errors import BadCohort
from training.json_document import Count, Fraction, FrozenRecord, JsonDocument, NotNegative


class CaseScore(FrozenRecord):
    """As `training.bundle.scores.MemberScore`; volumes in mL."""

    case: str
    member: Count
    dsc: Fraction
    manual_ml: NotNegative
    predicted_ml: NotNegative


class ScoreFile(JsonDocument):
    """Each case by the member that never saw its patient; cases whose member is not trained yet are absent.

    Attributes:
        recipe: the preset.
        cases: by name.
    """

    FILE_NAME: ClassVar[str] = "scores.json"

    recipe: str
    cases: tuple[CaseScore, ...]

    @classmethod
    def of(cls, recipe: str, scores: Sequence[MemberScore]) -> Self:
        """Scores of a recipe."""
        cases = sorted((CaseScore(**asdict(score)) for score in scores), key=lambda score: score.case)
        return cls(recipe=recipe, cases=tuple(cases))

    @property
    def scores(self) -> tuple[MemberScore, ...]:
        """The scores."""
        return tuple(MemberScore(**case.model_dump()) for case in self.cases)

    def require(self, recipe: str) -> Self:
        """These scores, which are of this recipe.

        Raises:
            BadCohort: they are of another.
        """
        if self.recipe != recipe:
            raise BadCohort(f"expected a file with scores of {recipe}, got one of {self.recipe}: name another file")
        return self

    def updated(self, newer: Self) -> Self:
        """These scores, with the newer ones in place of those of the same cases."""
        names = {case.case for case in newer.cases}
        kept = [score for score in self.scores if score.case not in names]
        return type(self).of(newer.recipe, [*kept, *newer.scores])
