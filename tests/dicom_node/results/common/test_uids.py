"""UIDs of results."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import get_args

from dicom_node.node.profiles import ObjectKind, SegEncoding, SegForm
from dicom_node.results.common.uids import ResultUids, device_uid

BASE = ResultUids("1.2.3", "a" * 64, "b" * 64, "openvino", "f32", "0.1.0")

FORMS = tuple(SegForm(encoding, empty) for encoding in get_args(SegEncoding) for empty in (True, False))


def every(uids: ResultUids) -> list[str]:
    """All UIDs of a result set."""
    return [
        uids.wmh_tracking,
        *(
            uid_of(kind, form)
            for uid_of in (uids.series_of, uids.instance_of, uids.organization_of)
            for kind in ObjectKind
            for form in FORMS
        ),
    ]


def test_uids_are_legal_and_different() -> None:
    """Every UID is a 2.25 UID of PS3.5 B.2 with at most 64 characters, and no two things share one."""
    found = [*every(BASE), device_uid("b" * 64)]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid) and len(uid) <= 64 for uid in found)


def test_uids_never_change() -> None:
    """The UIDs of a series that was analysed before stay what they were: a resend must not make a second result."""
    assert BASE.instance_of(ObjectKind.SEG) == "2.25.27803966495568657463944590358844755042"


def test_anything_that_changes_the_result_changes_every_uid() -> None:
    """Everything that SEG and SR say or are computed from is in the UIDs: no two that differ in it share one."""
    others = [
        replace(BASE, series_instance_uid="1.2.4"),
        replace(BASE, instances_digest="c" * 64),
        replace(BASE, model_digest="c" * 64),
        replace(BASE, runtime="tensorflow"),
        replace(BASE, precision="bf16"),
        replace(BASE, software_version="0.1.1"),
        replace(BASE, predecessor="1.2.3.4"),
        replace(BASE, region_rule="2d 10.0 mm"),
    ]
    found = [uid for uids in (BASE, *others) for uid in every(uids)]
    assert len(set(found)) == len(found)
