"""The schema of a bundle's manifest.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from segmentation.preprocessing.settings import PreprocessingSettings

SCHEMA: Final = 1
Definition = Literal["all", "abnormal"]
"""What a model calls WMH: `all`, with periventricular caps and rims (STRIVE, Duering et al., Lancet Neurol 2023), or
`abnormal`, without those that a reader judges normal."""
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


class VentricleArchitecture(_Frozen):
    """The one network that marks the ventricles; its input contract is that of the members.

    Attributes:
        threshold: probability at or above which a voxel is ventricle.
        mirrored: its probabilities are the mean of each slice's and its mirror image's, see `segmentation.mirroring`.
    """

    network: Literal["unet", "se-unet"]
    variant: Literal["published", "text"]
    width: float = Field(gt=0, le=4)
    threshold: float = Field(gt=0, lt=1)
    mirrored: Literal[True] | None = None


class AnatomyArchitecture(_Frozen):
    """The one network that knows the parts of the head; its input is that of `segmentation.anatomy`.

    Attributes:
        size: rows and columns of its images.
        parts: what its outputs are, in their order.
    """

    network: Literal["unet", "se-unet"]
    variant: Literal["published", "text"]
    width: float = Field(gt=0, le=4)
    size: int = Field(ge=16, le=1024)
    parts: tuple[Literal["brain"], Literal["ventricles"], Literal["infratentorial"], Literal["left"], Literal["cortex"]]


class GoldenContract(_Frozen):
    """What golden.npz holds: `slices` images of a drawn head and the probabilities that belong to them."""

    slices: int = Field(ge=1, le=16)


class InputContract(_Frozen):
    """How a case is prepared; the fields of `segmentation.preprocessing.settings.PreprocessingSettings`.

    `scale` and `clip` are absent with the paper's scale, so that old bundles keep their digests. The images are
    normalised to mean 0 and SD 1 inside the brain mask; about so by the scale `brain-alone`.
    """

    size: int
    bins: int
    peak: Literal["nearest", "highest"]
    peak_target: float
    mask_threshold: float
    scale: Literal["brain-level", "brain-alone"] | None = None
    clip: float | None = None

    @classmethod
    def of(cls, settings: PreprocessingSettings) -> InputContract:
        """The contract of these settings; with the paper's scale as the oldest bundles have it."""
        fields = asdict(settings)
        if settings.scale == "slice-maximum":
            del fields["scale"], fields["clip"]
        return cls(**fields)

    @property
    def settings(self) -> PreprocessingSettings:
        """How a case must be prepared."""
        return PreprocessingSettings(**self.model_dump(exclude_none=True))


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
        patients: every patient that any member or the ventricle network saw or was scored on while training, as the
            data source names them; None when not stated. Leave it out where these names must stay private.
        held_out: per member, those of `patients` that it never saw; None when not stated.
        images: `FlairVolume.voxels_digest` of each real image that was trained on -> its patient among `patients`, ""
            where names stay private: an image is known under another name too.
    """

    software: dict[str, str]
    recipe: str
    data: tuple[DataSource, ...]
    patients: tuple[str, ...] | None = None
    held_out: tuple[tuple[str, ...], ...] | None = None
    images: dict[_Sha256, str] | None = None

    @model_validator(mode="after")
    def _images_of_patients(self) -> Training:
        if unknown := sorted(set((self.images or {}).values()) - {*(self.patients or ()), ""}):
            raise ValueError(f"images names {unknown[0]!r}, which is not among patients")
        return self

    @model_validator(mode="after")
    def _held_out_of_patients(self) -> Training:
        for member, names in enumerate(self.held_out or ()):
            if unknown := sorted(set(names) - set(self.patients or ())):
                raise ValueError(f"held_out of member {member} names {unknown[0]!r}, which is not among patients")
        return self


class PredictiveContract(_Frozen):
    """How far the manual volume may lie from the model's, as measured (`training.bundle.conformal`).

    Attributes:
        nominal: the part of new patients that is promised to lie within.
        factor: volumes lie between the model's divided and multiplied by it.
        coverage: part of the patients, each left out in turn, that lay within.
        patients: how many there were.
    """

    nominal: float = Field(gt=0, lt=1)
    factor: float = Field(ge=1, le=1000)
    coverage: float = Field(ge=0, le=1)
    patients: int = Field(ge=2)


class IntensityContract(_Frozen):
    """Limits of brains in units of their median (`segmentation.evidence.Evidence`): an image beyond them is unlike the
    training images, which they are derived from by `training.bundle.intensity_limits`.

    Attributes:
        dark: of the 5th percentile.
        spread: of the interquartile range.
        bright: of the 99th percentile.
        images: how many training images there were.
    """

    dark: float = Field(gt=0, le=1)
    spread: float = Field(gt=0, le=10)
    bright: float = Field(ge=1, le=100)
    images: int = Field(ge=2)


class FileEntry(_Frozen):
    """One file of the bundle."""

    sha256: _Sha256
    size_bytes: int = Field(ge=0)


class Manifest(_Frozen):
    """manifest.json. An optional field that is None is in neither the file nor the digest.

    Attributes:
        ventricles: the ventricle network, where the bundle has one.
        anatomy: the anatomy network, where the bundle has one.
        golden: the golden predictions, where the bundle has them.
        definition: what the model calls WMH; absent: not stated.
        temperature: what the members' logits were divided by to calibrate them; folded into the weights already.
        shift: what was taken off the logits before; folded in too; absent: nothing.
        review_above: the uncertainty index above which results of this model want a review; absent: the paper's 0.35.
        predictive: how far the manual volume may lie from this model's; absent: not measured.
        intensities: beyond what images are unlike the training's; absent: not measured.
    """

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
    ventricles: VentricleArchitecture | None = None
    anatomy: AnatomyArchitecture | None = None
    golden: GoldenContract | None = None
    definition: Definition | None = None
    temperature: float | None = Field(default=None, gt=0)
    shift: float | None = Field(default=None, ge=-100, le=100)
    review_above: float | None = Field(default=None, gt=0, lt=1)
    predictive: PredictiveContract | None = None
    intensities: IntensityContract | None = None

    @model_validator(mode="after")
    def _one_list_per_member(self) -> Manifest:
        held_out = self.training.held_out
        if held_out is not None and len(held_out) != self.architecture.members:
            raise ValueError(
                f"training.held_out: expected one list per member ({self.architecture.members}), got {len(held_out)}"
            )
        return self

    def document(self) -> dict[str, Any]:
        """The manifest as plain values, absent fields left out."""
        return self.model_dump(mode="json", exclude_none=True)
