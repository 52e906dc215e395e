"""Write what was measured of a bundle into it: another version, other words and limits, the same weights."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from segmentation.bundle import CARD_NAME, MANIFEST_NAME, ModelBundle, load_bundle
from segmentation.manifest import FileEntry, IntensityContract, Manifest, PredictiveContract
from training.files import write_whole

DOUBT_HEADING: Final = "## What its doubt means"
SCANNERS_HEADING: Final = "## Scores by scanner"
INTENSITIES_HEADING: Final = "## What its training images were like"
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
    changed: dict[str, Any] = {"review_above": review_above, "predictive": predictive}
    if images is not None:
        changed["training"] = manifest.training.model_copy(update={"images": dict(images)})
    return _restated(folder, version, DOUBT_HEADING, doubt, changed)


def restate_intensities(folder: Path, version: str, words: str, intensities: IntensityContract) -> ModelBundle:
    """The same for what the training images were like.

    Args:
        version: the new one.
        words: text of the card's section about it.
        intensities: see `segmentation.manifest.Manifest`.

    Raises:
        BadBundle: there is no sound bundle.
    """
    return _restated(folder, version, INTENSITIES_HEADING, words, {"intensities": intensities})


def restate_scanners(folder: Path, version: str, words: str) -> ModelBundle:
    """The same for the scores of each scanner; no limit depends on them.

    Raises:
        BadBundle: there is no sound bundle.
    """
    return _restated(folder, version, SCANNERS_HEADING, words, {})


def with_entries(folder: Path, changed: Mapping[str, Any]) -> ModelBundle:
    """The bundle with these entries of its manifest, all else as it is; of a folder that nothing serves yet.

    Raises:
        BadBundle: there is no sound bundle.
    """
    newer = load_bundle(folder).manifest.model_copy(update=changed)
    text = json.dumps(newer.document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    Manifest.model_validate_json(text)  # `model_copy` checks nothing
    write_whole(folder / MANIFEST_NAME, text)
    return load_bundle(folder)


def _restated(folder: Path, version: str, heading: str, words: str, changed: Mapping[str, Any]) -> ModelBundle:
    manifest = load_bundle(folder).manifest
    before = (folder / CARD_NAME).read_text(encoding="utf-8")
    numbered = before.replace(f" {manifest.version}\n", f" {version}\n", 1)
    card = with_section(numbered, heading, words).encode()
    files = {**manifest.files, CARD_NAME: FileEntry(sha256=hashlib.sha256(card).hexdigest(), size_bytes=len(card))}
    newer = manifest.model_copy(update={**changed, "version": version, "files": files})
    text = json.dumps(newer.document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    Manifest.model_validate_json(text)  # `model_copy` checks nothing
    write_whole(folder / CARD_NAME, card.decode())
    write_whole(folder / MANIFEST_NAME, text)
    return load_bundle(folder)


def with_section(card: str, heading: str, text: str) -> str:
    """The card with a section in place of an earlier one, before what the model must not be trusted with."""
    card = re.sub(rf"{re.escape(heading)}\n.*?(?=^## |\Z)", "", card, flags=re.DOTALL | re.MULTILINE)
    section = f"{heading}\n{text.strip()}\n\n"
    return card.replace(_BEFORE, f"{section}{_BEFORE}", 1) if _BEFORE in card else f"{card.rstrip()}\n\n{section}"
