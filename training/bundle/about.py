"""What a bundle states about itself: name, version, licence, data, and what its owner writes on the card."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from segmentation.manifest import DataSource, Definition
from segmentation.preprocessing.settings import ScaleRule
from training.errors import BadRecipe
from training.json_document import FrozenRecord

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VERSION = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.-]{1,32})?")


class About(FrozenRecord):
    """`--about FILE`, a TOML file; its texts are Markdown lists.

    Attributes:
        data: the data sets, for the manifest.
        trained_on: more about them, for the card.
        limits: what the model must not be trusted with, for the card.
        definition: what it calls WMH, for the manifest (`segmentation.manifest.Definition`).
    """

    data: tuple[DataSource, ...] = ()
    trained_on: str = ""
    limits: str = ""
    definition: Definition | None = None


def read_about(path: Path) -> About:
    """Read `--about FILE`.

    Raises:
        BadRecipe: no such file, or not this TOML.
    """
    try:
        return About.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # both ValidationError and TOMLDecodeError are ValueError
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else type(error).__name__
        raise BadRecipe(
            "--about: expected TOML with [[data]] (name, licence, source), trained_on, limits and definition in "
            f"{path.name}; got: {found}"
        ) from error


@dataclass(frozen=True)
class BundleName:
    """What a bundle states about itself.

    Attributes:
        name: lower-case slug.
        version: `major.minor.patch`.
        licence: of the weights.
        data: description of the cohort, for the card, and for the manifest where `about` names no data.
        lists_patients: the manifest lists the patients by their names in patients.csv, so that `evaluate` knows which
            of them a member never saw, and the card lists cases and sites. No where these names must not be passed on.
        scale: the intensity scale of the bundle's input, in place of that of the training.
        about: more for manifest and card.
    """

    name: str = "wmh-se-unet"
    version: str = "0.1.0"
    licence: str = "not stated: the owner of the training data decides"
    data: str = "own cohort"
    lists_patients: bool = True
    scale: ScaleRule | None = None
    about: About = field(default_factory=About)

    def __post_init__(self) -> None:
        """A name that the manifest refuses must be reported before days of training, not after."""
        if not _SLUG.fullmatch(self.name):
            raise BadRecipe(f"--name: expected lower-case letters, digits and hyphens, got {self.name!r}")
        if not _VERSION.fullmatch(self.version):
            raise BadRecipe(f"--version: expected major.minor.patch, got {self.version!r}")
        if not self.licence or not self.data:
            raise BadRecipe("--licence, --data-name: expected text, got none")

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """The data sets, for the manifest."""
        own = DataSource(name=self.data, licence=self.licence, source="run.json of the training")
        return self.about.data or (own,)
