"""Which series is a brain FLAIR."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from dicom_node.selecting.verdict import Verdict

__all__ = ["Verdict", "judge_series"]


def judge_series(headers: Sequence[Dataset]) -> Verdict:
    """Judge one series from the headers of its instances (pixel data is not looked at).

    Never raises on hostile values: a header that cannot be understood is a rejection with a reason.
    """
    raise NotImplementedError
