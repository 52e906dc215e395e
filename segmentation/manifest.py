"""The schema of a bundle's manifest.json."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SCHEMA: Final = 1
INTENDED_USE: Final = "research use only; not a medical device"

_Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
_Version = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+([-+][0-9A-Za-z.-]{1,32})?$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
# A plain file name: no folder, no drive, no leading dot, so that no entry leads out of the bundle.
_FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]


class _Frozen(BaseModel):
    """Nothing unknown, nothing coerced, nothing changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Architecture(_Frozen):
    """The network of each member, as `segmentation.networks` builds it."""

    network: Literal["unet", "se-unet"]
    variant: Literal["published", "text"]
    width: float = Field(gt=0, le=4)
    members: int = Field(ge=1, le=64)


class InputContract(_Frozen):
    """How a case is prepared; the fields of `segmentation.preprocessing.settings.PreprocessingSettings`.

    The images are then normalised to mean 0 and SD 1 inside the brain mask.
    """

    size: int
    bins: int
    peak: Literal["nearest", "highest"]
    peak_target: float
    mask_threshold: float


class DataSource(_Frozen):
    """One data set that the weights were trained on."""

    name: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    source: str = Field(min_length=1)


class Training(_Frozen):
    """Where the weights come from.

    Attributes:
        software: package -> version of what trained them.
        recipe: the command, or the name of the recipe.
        data: what they were trained on.
    """

    software: dict[str, str]
    recipe: str
    data: tuple[DataSource, ...]


class FileEntry(_Frozen):
    """One file of the bundle."""

    sha256: _Sha256
    size_bytes: int = Field(ge=0)


class Manifest(_Frozen):
    """manifest.json."""

    schema_version: int
    name: _Slug
    version: _Version
    architecture: Architecture
    input: InputContract
    threshold: float = Field(gt=0, lt=1)
    training: Training
    licence: str = Field(min_length=1)
    intended_use: str = Field(min_length=1)
    files: dict[_FileName, FileEntry]
