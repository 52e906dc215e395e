"""Every element by itself: value representation, multiplicity, length, characters (PS3.5 6.2, PS3.6)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from dicom_node.results.check.checked import Checked
from dicom_node.results.check.study import is_as_in_source
from dicom_node.results.common.legality import elements_of, encodings_of, problems_of

_INDEX = re.compile(r"\[\d+\]")


def check_elements(checked: Checked) -> Iterator[tuple[str, str]]:
    """(object, sentence) for each kind of illegal value; a fault that many items share is reported once.

    What identifies patient and study may be illegal in the source, and is then no fault of a result that repeats it.
    """
    for result in checked.objects:
        first: dict[tuple[str, str], str] = {}
        seen: Counter[tuple[str, str]] = Counter()
        encodings = encodings_of(result.dataset)
        for where, element in elements_of(result.dataset):
            if is_as_in_source(where, element, checked):
                continue
            for problem in problems_of(element, checked.source_uids, encodings):
                kind = (_INDEX.sub("", where), problem)
                first.setdefault(kind, where)
                seen[kind] += 1
        for (_, problem), where in first.items():
            more = seen[_INDEX.sub("", where), problem] - 1
            yield result.name, f"{where} {problem}" + (f", and so do {more} more of its kind" if more else "")
