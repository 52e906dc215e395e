"""What is read of stored measurements."""

from __future__ import annotations

import pytest

from db.measured import is_usable, usable_part, usable_volume_ml

_MEASURED = {"wmh_volume_ml": 28.2, "lesion_count": 3, "volume_interval_ml": [20.0, 30.0], "uncertainty_index": 0.2}


@pytest.mark.parametrize("reliability", ["ok", "review", None])
def test_numbers_of_other_results_are_used(reliability: str | None) -> None:
    """A result to review, and one of a version before reliability was stored, keep their numbers."""
    measured = _MEASURED | ({} if reliability is None else {"reliability": reliability})
    assert is_usable(measured)
    assert usable_volume_ml(measured) == 28.2
    assert usable_part(measured) == measured


def test_numbers_of_an_unreliable_result_are_left_out() -> None:
    """What follows from a mask that is not reliable is in no list; the doubt and the verdict stay."""
    measured = {**_MEASURED, "reliability": "not_reliable"}
    assert not is_usable(measured)
    assert usable_volume_ml(measured) is None
    assert usable_part(measured) == {"uncertainty_index": 0.2, "reliability": "not_reliable"}


def test_a_volume_is_a_number() -> None:
    """Without a volume, or with words in its place, there is none."""
    assert usable_volume_ml({}) is None
    assert usable_volume_ml({"wmh_volume_ml": "28.2"}) is None
