"""Every field of a recipe as text: `network.width=0.5`, typed by the field and checked before any epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from segmentation.errors import SegmentationError
from training.data.presets import PRESETS, PRETRAINING, Recipe
from training.errors import BadRecipe

COMPUTE: Final = ("float32", "mixed_bfloat16", "mixed_float16", "bfloat16")

# Fields that decide what the weights are, and what fits into memory: all stages of a training share them.
_SHARED_BY_STAGES: Final = ("network", "preprocessing", "target", "compute", "crop", "batch_size")
_AT_LEAST_ONE: Final = ("batch_size", "epochs")
_MOST_SD: Final = 10.0
_FURTHEST_MM: Final = 10.0
_SHARES: Final = ("synthetic_share", "start_share")
_NONE: Final = frozenset({"none", "null"})

T = TypeVar("T")


def preset(name: str) -> Recipe:
    """A preset by name.

    Raises:
        BadRecipe: there is none of that name.
    """
    if name not in PRESETS:
        raise BadRecipe(f"expected a preset {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with `field=value` texts applied in order, checked as a whole.

    `none` empties an optional field; a part of an empty group (`augmentation.noise=0.1`) starts from its defaults;
    lists are separated by commas. `name` cannot be set: it stays the preset's, and what differs from it is in run.json.

    Raises:
        BadRecipe: no such field, a value that it cannot take, or fields that do not fit together.
    """
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals:
            raise BadRecipe(f"--set {setting}: expected field=value, such as network.width=0.5")
        if path.strip() == "name":
            raise BadRecipe("--set name: the name belongs to the preset; use --preset, or --name for the bundle")
        recipe = _set(recipe, path.strip().split("."), value.strip(), path.strip())
    if recipe.network.size != recipe.preprocessing.size:
        recipe = _follow_size(recipe, settings)
    check_recipe(recipe)
    return recipe


def for_target(recipe: Recipe, target: str) -> Recipe:
    """The recipe for another mask; the ventricle network is a UNet (paper, "Periventricular and deep WMH").

    Raises:
        BadRecipe: an unknown target.
    """
    if target == recipe.target:
        return recipe
    is_wmh = target == "wmh"
    network = replace(recipe.network, squeeze_excitation=recipe.network.squeeze_excitation if is_wmh else False)
    return _rebuilt("target", recipe, target=_parse("target", _types(Recipe)["target"], target), network=network)


def stages(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe and the presets that it starts from, first to last.

    All have its network, preprocessing, target, compute, crop and batch size; what else the earlier ones do is their
    presets'.

    Raises:
        BadRecipe: `start_from` names no preset, or a circle.
    """
    chain = [recipe]
    names = {recipe.name}
    while (start := chain[0].start_from) not in (None, PRETRAINING):
        if start in names:
            raise BadRecipe(f"start_from: {start} starts from itself")
        names.add(start)
        shared = {name: getattr(recipe, name) for name in _SHARED_BY_STAGES}
        chain.insert(0, replace(preset(start), **shared))
    for stage in chain:
        check_recipe(stage)
    return tuple(chain)


def check_recipe(recipe: Recipe) -> None:
    """Refuse what cannot be trained.

    Raises:
        BadRecipe: a number out of its range, or sizes that do not fit together.
    """
    for name in _AT_LEAST_ONE:
        _expect(getattr(recipe, name) >= 1, name, "1 or more", getattr(recipe, name))
    for name in _SHARES:
        _expect(0 <= getattr(recipe, name) < 1, name, "0 up to, and below, 1", getattr(recipe, name))
    _expect(
        recipe.start_from is not None or recipe.start_share == 0,
        "start_share",
        "0 without start_from",
        recipe.start_share,
    )
    rate, steps, crop, size = recipe.learning_rate, recipe.steps_per_epoch, recipe.crop, recipe.preprocessing.size
    _expect(math.isfinite(rate) and rate > 0, "learning_rate", "a number above 0", rate)
    _expect(steps is None or steps >= 1, "steps_per_epoch", "1 or more, or none", steps)
    _expect(recipe.empty_slice_weight >= 0, "empty_slice_weight", "0 or more", recipe.empty_slice_weight)
    _expect(recipe.real_only_epochs >= 0, "real_only_epochs", "0 or more", recipe.real_only_epochs)
    _expect(len(recipe.scalp_factors) > 0, "scalp_factors", "at least one factor", recipe.scalp_factors)
    _expect(all(f >= 0 for f in recipe.scalp_factors), "scalp_factors", "factors of 0 or more", recipe.scalp_factors)
    margins, is_alone = recipe.brain_margins_mm, recipe.preprocessing.scale == "brain-alone"
    _expect(len(margins) > 0, "brain_margins_mm", "at least one margin", margins)
    _expect(all(abs(mm) <= _FURTHEST_MM for mm in margins), "brain_margins_mm", "up to 10 mm either way", margins)
    _expect(is_alone or margins == (0.0,), "brain_margins_mm", "0 but by the scale brain-alone", margins)
    _expect(not is_alone or recipe.scalp_factors == (1.0,), "scalp_factors", "1 by the scale brain-alone", "others")
    rim = recipe.ignored_rim_mm
    _expect(0 <= rim <= _FURTHEST_MM, "ignored_rim_mm", "0 to 10", rim)
    _expect(rim == 0 or recipe.target == "wmh", "ignored_rim_mm", "0 for the target ventricles", rim)
    least = recipe.ignored_rim_sd
    _expect(least is None or -_MOST_SD <= least <= _MOST_SD, "ignored_rim_sd", "-10 to 10, or none", least)
    _expect(least is None or rim > 0, "ignored_rim_sd", "none without ignored_rim_mm", least)
    _expect(recipe.compute in COMPUTE, "compute", " or ".join(COMPUTE), recipe.compute)
    _expect(not recipe.is_mirrored or recipe.target == "ventricles", "is_mirrored", "no for the target wmh", "yes")
    fits = crop is None or (16 <= crop <= size and crop % 8 == 0)
    _expect(fits, "crop", f"none, or a multiple of 8 from 16 to the size {size}", crop)
    _expect(recipe.network.size == size, "network.size", f"preprocessing.size {size}", recipe.network.size)


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`field: old -> new` for every leaf that differs between two nested documents."""
    found = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}: {before} -> {after}")
    return found


def _set(holder: T, path: Sequence[str], value: str, whole: str) -> T:
    types = _types(type(holder))
    name, *rest = path
    if name not in types:
        raise BadRecipe(f"--set {whole}: no such field; expected one of {', '.join(types)}")
    if not rest:
        return _rebuilt(whole, holder, **{name: _parse(whole, types[name], value)})
    group = _group(types[name])
    if group is None:
        raise BadRecipe(f"--set {whole}: {name} has no parts")
    inner = getattr(holder, name)
    return _rebuilt(whole, holder, **{name: _set(group() if inner is None else inner, rest, value, whole)})


def _parse(where: str, kind: Any, text: str) -> Any:
    if NoneType in get_args(kind) and text.lower() in _NONE:
        return None
    group = _group(kind)
    if group is not None:
        if text == "default":
            return group()
        raise BadRecipe(f"{where}: expected one of its parts, as in {where}.{fields(group)[0].name}=..., got {text!r}")
    given: Any = [part for part in text.split(",") if part.strip()] if get_origin(kind) is tuple else text
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        raise BadRecipe(f"{where}: {error.errors()[0]['msg']}, got {text!r}") from error


def _group(kind: Any) -> Any:
    """The dataclass that a field holds, alone or beside None."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return next((option for option in options if is_dataclass(option)), None)


def _types(holder: type) -> dict[str, Any]:
    hints = get_type_hints(holder)
    return {field.name: hints[field.name] for field in fields(holder)}


def _rebuilt(where: str, holder: T, **changes: Any) -> T:
    try:
        return replace(holder, **changes)  # type: ignore[type-var]
    except (SegmentationError, ValueError) as error:
        raise BadRecipe(f"{where}: {error}") from error


def _follow_size(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """Network and preprocessing have one size: setting one of them sets both."""
    named = [setting.partition("=")[0].strip() for setting in settings]
    both = {"network.size", "preprocessing.size"} <= set(named)
    if both:
        return recipe  # contradictory: left to `check_recipe`
    if "network.size" in named:
        return replace(recipe, preprocessing=replace(recipe.preprocessing, size=recipe.network.size))
    return replace(recipe, network=replace(recipe.network, size=recipe.preprocessing.size))


def _expect(holds: bool, name: str, expected: str, got: Any) -> None:
    if not holds:
        raise BadRecipe(f"{name}: expected {expected}, got {got}")


def as_document(recipe: Recipe) -> dict[str, Any]:
    """The recipe as run.json keeps it: plain JSON types."""
    document = asdict(recipe)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}


def recipe_of(document: Mapping[str, Any]) -> Recipe:
    """The recipe that `as_document` gave.

    Raises:
        BadRecipe: fields of another version, or values that they cannot take.
    """
    try:
        return TypeAdapter(Recipe).validate_python(dict(document))
    except (ValidationError, SegmentationError) as error:
        raise BadRecipe(f"expected a recipe of this version: {str(error).splitlines()[0]}") from error
