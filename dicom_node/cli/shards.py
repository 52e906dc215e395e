"""`--shard 2/4`: the part of the cases that one process or machine scores, of `evaluate` and `compare`."""

from __future__ import annotations

from typing import Final

from dicom_node.cli.context import out, print_json
from dicom_node.cli.labelled_cases import FACTS
from dicom_node.node.errors import ConfigurationError
from training.errors import BadCohort
from training.evaluate.scored_folder import Shard
from training.report.words import plural

SCORED: Final = "scored"
"""In --out: the scores of single cases, where the parts meet."""


def part_of(shard: str | None) -> Shard | None:
    """The part of the cases to score; None: all.

    Raises:
        ConfigurationError: no such part.
    """
    try:
        return None if shard is None else Shard.of_text(shard)
    except BadCohort as error:
        raise ConfigurationError(str(error)) from error


def facts_of(part: Shard | None) -> str:
    """A file of its own for each part: machines that share --out do not write one at the same time."""
    return FACTS if part is None else f"part-{part.number}-of-{part.count}-{FACTS}"


def print_shard(part: Shard, count: int, as_json: bool) -> None:
    """Say what a part has done, and what comes next."""
    if as_json:
        print_json({"shard": f"{part.number}/{part.count}", "cases": count})
        return
    out.print(
        f"Part {part.number} of {part.count}: scores of {plural(count, 'case')} are in {SCORED}/. When all parts are "
        "there, run the same command without --shard for the report.",
        markup=False,
    )
