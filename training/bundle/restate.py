"""Write what was measured of a bundle into it: another version, other words and limits, the same weights."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from segmentation.bundle import CARD_NAME, MANIFEST_NAME, ModelBundle, load_bundle
from segmentation.manifest import FileEntry, Manifest, PredictiveContract
from training.files import write_whole

DOUBT_HEADING: Final = "## What its doubt means"
_BEFORE: Final = "## What it must not be trusted with"


def restate(
    folder: Path,
    version: str,
    doubt: str,
    *,
    review_above: float,
    predictive: PredictiveContract | None,
    images: Mapping[str, str] | None = None,
) -> ModelBundle:
    """Change a bundle in its folder; every weight and every file but card and manifest stays, to the bit.

    Args:
        version: the new one.
        doubt: text of the card's section about it.
        review_above, predictive: see `segmentation.manifest.Manifest`.
        images: see `segmentation.manifest.Training`; None: as they are.

    Raises:
        BadBundle: there is no sound bundle.
    """
    manifest = load_bundle(folder).manifest
    card = _with_doubt((folder / CARD_NAME).read_text(encoding="utf-8"), manifest.version, version, doubt).encode()
    files = {**manifest.files, CARD_NAME: FileEntry(sha256=hashlib.sha256(card).hexdigest(), size_bytes=len(card))}
    changed: dict[str, Any] = {"version": version, "files": files, "review_above": review_above}
    if images is not None:
        changed["training"] = manifest.training.model_copy(update={"images": dict(images)})
    newer = manifest.model_copy(update={**changed, "predictive": predictive})
    text = json.dumps(newer.document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    Manifest.model_validate_json(text)  # `model_copy` checks nothing
    write_whole(folder / CARD_NAME, card.decode())
    write_whole(folder / MANIFEST_NAME, text)
    return load_bundle(folder)


def _with_doubt(card: str, old: str, new: str, doubt: str) -> str:
    card = card.replace(f" {old}\n", f" {new}\n", 1)
    return with_section(card, DOUBT_HEADING, doubt)


def with_section(card: str, heading: str, text: str) -> str:
    """The card with a section in place of an earlier one, before what the model must not be trusted with."""
    card = re.sub(rf"{re.escape(heading)}\n.*?(?=^## |\Z)", "", card, flags=re.DOTALL | re.MULTILINE)
    section = f"{heading}\n{text.strip()}\n\n"
    return card.replace(_BEFORE, f"{section}{_BEFORE}", 1) if _BEFORE in card else f"{card.rstrip()}\n\n{section}"
