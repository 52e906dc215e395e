"""contact-sheet.html: every series as a row of outlined slices with its numbers, to look through quickly.

One file without links to anything outside it, so that it opens anywhere; the names in it are those of the input.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from db.measured import usable_volume_ml
from dicom_node.analyse.many.one import STRIP_NAME
from dicom_node.analyse.many.result import ScanResult
from dicom_node.results.common.volume_words import interval_words, millilitres
from segmentation.bundle import ModelIdentity

NAME: Final = "contact-sheet.html"
_TEMPLATE: Final = "contact_sheet.html"
_VERDICTS: Final = {
    "ok": "",
    "review": "review",
    "not_reliable": "not reliable",
    "not_analysable": "not analysable",
    "failed": "failed",
}


def contact_sheet(results: Sequence[ScanResult], model: ModelIdentity) -> bytes:
    """The page in UTF-8; the series that need a look come first, then by volume.

    Args:
        results: of every series.
        model: that made them; named in the page.
    """
    rows = sorted(results, key=_doubtful_first)
    with_result = [result for result in results if result.measurements is not None]
    to_review = sum(1 for result in with_result if result.measurements and result.measurements["review_recommended"])
    template = Template(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
    page = template.substitute(
        rows="\n".join(map(_row, rows)),
        summary=escape(
            f"{len(results)} series, {len(with_result)} with a result, {to_review} of these to review, "
            f"{len(results) - len(with_result)} without a result"
        ),
        model=escape(f"{model.name} {model.version} ({model.digest[:12]})"),
    )
    return page.encode("utf-8", "backslashreplace")


def _verdict(result: ScanResult) -> str:
    if result.measurements is None:
        return result.status
    if result.measurements["reliability"] == "ok" and result.measurements["review_recommended"]:
        return "review"
    return str(result.measurements["reliability"])


def _doubtful_first(result: ScanResult) -> tuple[int, float, str]:
    volume = usable_volume_ml(result.measurements or {}) or 0.0
    return -list(_VERDICTS).index(_verdict(result)), -volume, str(result.source)


def _row(result: ScanResult) -> str:
    """One series. The values that it is sorted by are attributes."""
    measured: dict[str, Any] = result.measurements or {}
    verdict = _verdict(result)
    volume, doubt = usable_volume_ml(measured), measured.get("uncertainty_index")
    name = escape("".join(sign if sign.isprintable() else "?" for sign in str(result.source)))
    return (
        f'<article data-volume="{-1.0 if volume is None else volume:.6f}" '
        f'data-doubt="{-1.0 if doubt is None else doubt:.6f}" '
        f'data-verdict="{list(_VERDICTS).index(verdict)}" data-name="{name}">'
        f"<header><h2>{name}</h2>{_numbers(result, verdict)}</header>"
        f"{_picture(result, name)}{_reasons(result)}</article>"
    )


def _numbers(result: ScanResult, verdict: str) -> str:
    mark = f'<strong class="{verdict}">{_VERDICTS[verdict]}</strong>' if _VERDICTS[verdict] else ""
    measured = result.measurements
    if measured is None:
        return f"<p>{mark}</p>"
    if verdict == "not_reliable":
        return f"<p>{mark} <span>no volume is given</span></p>"
    doubt = measured["uncertainty_index"]
    unsure = "no WMH found" if doubt is None else f"unsure about {100 * doubt:.0f} %"
    return (
        f"<p><b>{millilitres(measured['wmh_volume_ml'])}</b> <span>{interval_words(measured)}</span> "
        f"<span>{measured['lesion_count']} lesions</span> <span>{unsure}</span> {mark}</p>"
    )


def _picture(result: ScanResult, name: str) -> str:
    """The strip as a part of the page; nothing where there is none."""
    if result.measurements is None or result.folder is None:
        return ""
    try:
        strip = (result.folder / STRIP_NAME).read_bytes()
    except OSError:
        return ""
    coded = base64.b64encode(strip).decode()
    return f'<img loading="lazy" alt="Slices of {name} with outlines" src="data:image/jpeg;base64,{coded}">'


def _reasons(result: ScanResult) -> str:
    if result.measurements is None:
        return f'<p class="reason">{escape(result.reason)} [{escape(result.code)}]</p>'
    sentences = [reason["sentence"] for reason in result.measurements.get("reasons", ())]
    return "".join(f'<p class="reason">{escape(sentence)}</p>' for sentence in sentences)
