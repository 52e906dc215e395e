"""Catch and false-alarm rates of the plausibility rules: `python tests/benchmarks/plausibility.py ../shared/data`.

Real scans as they are, for false alarms; and what each rule is for, for catches: real scans whose prediction is spoiled
(a mask shifted by 40 mm, a model that marks all that is bright, one that is unsure of everything, a shell at the skull,
one half only with a painted mass, extreme pixels) or whose images are painted (a mass, a cortical infarct, a missing
skull), a real glioma, slices of acute infarcts, and drawn heads with and without a skull. All by the shipped bundle as
it is served: its anatomy network, its limits. The networks run once a scan; `--predictions DIR` keeps what they say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from segmentation.anatomy import PARTS, Anatomy
from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.evidence import Evidence, gather
from segmentation.interval import bounds_of
from segmentation.measures import Doubt, measure
from segmentation.nifti import read_flair_nifti
from segmentation.plausibility import SKULL_GAP_MM, assess_plausibility
from segmentation.preprocessing.case import FLAG_EXTREME_PIXELS, PreprocessedCase, preprocess
from segmentation.skull_gap import skull_gap_mm
from segmentation.uncertainty import uncertainty_index
from segmentation.volume import FlairVolume
from training.synthesis.coded_head import CodedHead, Extra, load_coded_head
from training.synthesis.heads import head_files
from training.synthesis.lesions import LesionLibrary, load_library
from training.synthesis.scan import Scan, draw_scan
from training.synthesis.tissues import Tissue

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_MASSES: Final = ("tcga-fg-6692_siemens_glioma",)
_SLICES_MM: Final = 3.0
# Areas of infarct in one slice, cm2: WMH beside a small one is not to be doubted, a large one is to be caught.
_INFARCTS: Final = ((0.0, 0.01), (0.01, 3.0), (3.0, 6.0), (6.0, 12.0), (12.0, 500.0))
_CHOSEN_ON: Final = 500  # slices by which the rule `cortical_wedge` was chosen; others measure it
_SURFACE_MM, _BASE_MM = 5.0, 10.0  # an infarct is cortical that has so much of its area so near to the surface
_FIRST_DRAWN: Final = 900_000  # numbers of scans that no training draws


def main(
    data: Annotated[Path, typer.Argument(help="folder that holds flair-wmh, flair-unlabelled, ...", exists=True)],
    predictions: Annotated[Path | None, typer.Option(help="folder where predictions are kept")] = None,
    slices: Annotated[int, typer.Option(help="of so many patients with an infarct")] = 400,
    heads: Annotated[int, typer.Option(help="so many heads are drawn, each with and without a skull defect")] = 12,
) -> None:
    """Measure the rules."""
    ensemble = open_ensemble(load_bundle(reference_bundle()))
    _print_infarcts(data / "stroke-slices" / "soop_axial_slices.npz", slices)
    _print_skulls(data / "label-maps", heads, ensemble)
    verdicts: dict[str, Counter[str]] = {}
    rules: dict[str, Counter[str]] = {}
    for said in _predicted(data, ensemble, predictions):
        for kind, evidence in _cases(said, ensemble):
            found = assess_plausibility(evidence)
            verdicts.setdefault(kind, Counter())[found.reliability] += 1
            rules.setdefault(kind, Counter()).update({reason.code for reason in found.reasons})
            if kind in ("as it is", "glioma"):
                facts = f"wedge {evidence.wedge_cm2:.1f} cm2, gap {evidence.skull_gap_mm:.0f} mm"
                typer.echo(f"{said.name}: {found.reliability} {[r.code for r in found.reasons]} {facts}", err=True)
    _print(verdicts, rules)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Said:
    """One scan and what the networks say of it.

    Attributes:
        name: of the scan.
        volume: its intensities.
        anatomy: the parts of its head.
        case: the members' input and the way back.
        mean: float32 (slice, size, size), the members' mean on their grid.
    """

    name: str
    volume: FlairVolume
    anatomy: Anatomy
    case: PreprocessedCase
    mean: Array


def _predicted(data: Path, ensemble: Ensemble, kept: Path | None) -> Iterator[Said]:
    paths = [*data.glob("flair-*/*/flair.nii.gz"), *(p for p in data.glob("flair-*/*.nii.gz"))]
    for path in sorted(paths):
        name = path.parent.name if path.name == "flair.nii.gz" else path.name.removesuffix(".nii.gz")
        volume = _thinned(read_flair_nifti(path)[0])
        case = preprocess(volume, ensemble.preprocessing)
        file = None if kept is None else kept / f"{ensemble.identity.version}-{name}.npz"
        if file is None or not file.exists():
            anatomy, mean = _anatomy(ensemble, volume), ensemble.predict_mean(case.images)
            if file is not None:
                _keep(file, anatomy, mean)
        else:
            anatomy, mean = _kept(file)
        yield Said(name, volume, anatomy, case, mean)


def _thinned(volume: FlairVolume) -> FlairVolume:
    """Of thin slices those that are 3 mm apart: neighbours say the same, and three times as many cost as much."""
    step = round(_SLICES_MM / volume.spacing_mm[0])
    if step < 2:
        return volume
    spacing = (volume.spacing_mm[0] * step, *volume.spacing_mm[1:])
    return FlairVolume(np.ascontiguousarray(volume.voxels[::step]), spacing)


def _anatomy(ensemble: Ensemble, volume: FlairVolume) -> Anatomy:
    found = ensemble.predict_anatomy(volume)
    if found is None:
        raise typer.BadParameter("expected a bundle with an anatomy network")
    return found


def _keep(file: Path, anatomy: Anatomy, mean: Array) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = np.stack([getattr(anatomy, part) for part in PARTS])
    with file.with_suffix(".part").open("wb") as partial:
        np.savez(partial, shape=parts.shape, parts=np.packbits(parts), mean=mean.astype(np.float16))
    file.with_suffix(".part").replace(file)


def _kept(file: Path) -> tuple[Anatomy, Array]:
    with np.load(file, allow_pickle=False) as stored:
        shape = tuple(int(length) for length in stored["shape"])
        parts = np.unpackbits(stored["parts"], count=int(np.prod(shape))).reshape(shape).astype(bool)
        return Anatomy.of(*parts), stored["mean"].astype(np.float32)


def _cases(said: Said, ensemble: Ensemble) -> Iterator[tuple[str, Evidence]]:
    kind = "glioma" if said.name in _MASSES else "as it is"
    as_it_is = _evidence(said, said.case.grid.to_native(said.mean), ensemble, mean=said.mean)
    yield kind, as_it_is
    if kind != "as it is":
        return
    for spoiled, probability in _spoiled_predictions(said).items():
        yield spoiled, _evidence(said, probability, ensemble)
    for painted, voxels, probability in _painted(said):
        volume = FlairVolume(voxels.astype(np.float32), said.volume.spacing_mm)
        changed = replace(said, volume=volume, anatomy=_anatomy(ensemble, volume))
        yield painted, _evidence(changed, probability, ensemble)
    hot = said.volume.voxels.copy()
    hot[:, 3, 3] = 50 * hot.max()
    flagged = FLAG_EXTREME_PIXELS in preprocess(FlairVolume(hot, said.volume.spacing_mm)).flags
    yield "extreme pixels, where slices are scaled by their maximum", replace(as_it_is, scaled_by_extremes=flagged)


def _spoiled_predictions(said: Said) -> Mapping[str, Array]:
    """Predictions that must not pass."""
    volume, brain, probability = said.volume, said.anatomy.brain, said.case.grid.to_native(said.mean)
    bright = np.where(volume.voxels > 1.1 * _median(said), np.float32(0.97), np.float32(0.02))
    shell = np.zeros_like(brain)
    for index, inside in enumerate(brain):
        depth = ndimage.distance_transform_edt(np.pad(inside, 1), volume.spacing_mm[1:])[1:-1, 1:-1]
        shell[index] = (depth > 0) & (depth < 4)
    return {
        "mask shifted by 40 mm": np.roll(probability, round(40 / volume.spacing_mm[2]), axis=2),
        "model marks all that is bright": bright,
        "model is unsure of everything": np.where(probability >= 0.5, np.float32(0.6), probability),
        "model rules nothing out": np.maximum(probability, np.float32(0.3)),
        "mask is a shell at the skull": np.where(shell, np.float32(0.95), np.float32(0.0)),
    }


def _painted(said: Said) -> Iterator[tuple[str, Array, Array]]:
    """Images that must not pass, with what the model says of them: a mass, an infarct, a missing skull."""
    probability, brain, median = said.case.grid.to_native(said.mean), said.anatomy.brain, _median(said)
    edge, middle = _left_edge(said)
    half = probability.copy()
    half[:, :, round(middle / said.volume.spacing_mm[2]) :] = 0.0
    mass = _ball(said, (*edge[:2], middle - 35.0), 20.0) & brain
    with_mass = np.where(mass, np.float32(1.5 * median), said.volume.voxels)
    yield "mass of 40 mm, marked", with_mass, np.maximum(half, np.where(mass, np.float32(0.95), np.float32(0.0)))
    yield "mass of 40 mm, not marked", with_mass, probability
    infarct = _ball(said, edge, 20.0) & brain
    yield "cortical infarct 20 mm deep, not marked", np.where(infarct, 1.5 * median, said.volume.voxels), probability
    if _is_stripped(said):
        return
    # Bone and fluid are dark and lie under the scalp: air stays.
    head = np.stack([ndimage.binary_fill_holes(plane > 0.5 * median) for plane in said.volume.voxels])
    gone = _ball(said, edge, 35.0) & head & ~brain & (said.volume.voxels < median)
    yield "skull missing along 60 mm", np.where(gone, median, said.volume.voxels), probability


def _median(said: Said) -> float:
    return float(np.median(said.volume.voxels[said.anatomy.brain]))


def _is_stripped(said: Said) -> bool:
    """Nearly all outside the brain is 0."""
    return float((said.volume.voxels[~said.anatomy.brain] > 0.2 * _median(said)).mean()) < 0.02


def _left_edge(said: Said) -> tuple[tuple[float, float, float], float]:
    """In mm: where the largest slice's brain ends on the picture's left, and the column of its middle."""
    brain, spacing = said.anatomy.brain, said.volume.spacing_mm
    start = int(np.argmax(brain.sum(axis=(1, 2))))
    rows = np.nonzero(brain[start].any(axis=1))[0]
    row = (rows[0] + rows[-1]) // 2
    column = np.nonzero(brain[start, row])[0][0]
    edge = (start * spacing[0], float(row * spacing[1]), float(column * spacing[2]))
    return edge, float(np.nonzero(brain.any(axis=(0, 1)))[0].mean()) * spacing[2]


def _ball(said: Said, centre_mm: tuple[float, float, float], radius_mm: float) -> Mask:
    axes = np.ogrid[tuple(slice(0, n) for n in said.volume.voxels.shape)]
    away = sum((axis * s - c) ** 2 for axis, c, s in zip(axes, centre_mm, said.volume.spacing_mm, strict=True))
    return np.asarray(away < radius_mm**2)


def _evidence(said: Said, probability: Array, ensemble: Ensemble, mean: Array | None = None) -> Evidence:
    """As `segment_volume` gathers it; `mean` on the networks' grid where it is known."""
    volume, brain, threshold = said.volume, said.anatomy.brain, ensemble.threshold
    kept = np.where(brain, probability, np.float32(0.0)) if brain.any() else probability
    mask = kept >= threshold
    outside_ml = int(np.count_nonzero((probability >= threshold) & ~mask)) * volume.voxel_volume_ml
    mean = said.case.grid.to_square(kept) if mean is None else mean
    index = uncertainty_index(mean, (mean >= threshold) & said.case.grid.mask_to_square(brain))
    doubt = Doubt(index, ensemble.review_above, ensemble.predictive)
    measures = measure(mask, kept, volume.voxel_volume_ml, bounds_of(mask, kept), doubt)
    return gather(volume, brain, mask, outside_ml, measures, False, ensemble.intensity_limits, said.anatomy)


def _print(verdicts: Mapping[str, Counter[str]], rules: Mapping[str, Counter[str]]) -> None:
    table = Table("case", "of", "ok", "review", "not reliable", "rules that hold")
    for kind, counted in verdicts.items():
        by_rule = ", ".join(f"{code} {count}" for code, count in rules[kind].most_common())
        numbers = [str(counted[verdict]) for verdict in ("ok", "review", "not_reliable")]
        table.add_row(kind, str(counted.total()), *numbers, by_rule)
    Console(width=160).print(table)


def _print_infarcts(path: Path, count: int) -> None:
    """The rules about bright tissue on single slices, by the area of the infarct and whether it is at the surface."""
    if not path.exists():
        return
    stored = np.load(path)
    chosen = np.random.default_rng(0).permutation(len(stored["flair"]))[_CHOSEN_ON : _CHOSEN_ON + count]
    found: dict[tuple[float, float, bool], list[set[str]]] = {
        (low, high, at_surface): [] for low, high in _INFARCTS for at_surface in (False, True)
    }
    flair, masks = stored["flair"], stored["stroke_mask"]
    for index in chosen:
        pixels, mask = flair[index].astype(np.float32), masks[index] > 0
        brain = ndimage.binary_fill_holes(ndimage.binary_closing(pixels > 0, iterations=2))
        brain = ndimage.binary_erosion(brain, iterations=2)[None]
        volume = FlairVolume(pixels[None], (5.0, 1.0, 1.0))
        empty = np.zeros_like(brain)
        evidence = gather(volume, brain, empty, 0.0, measure(empty, empty.astype(np.float32), 0.005))
        area = float(mask.sum()) / 100
        surface = mask & (ndimage.distance_transform_edt(brain[0]) <= _SURFACE_MM)
        at_surface = float(np.count_nonzero(surface)) / _SURFACE_MM >= _BASE_MM
        codes = {reason.code for reason in assess_plausibility(evidence).reasons}
        next(seen for (low, high, s), seen in found.items() if low <= area < high and s == at_surface).append(codes)
    table = Table("infarct in the slice, cm2", "at the surface", "of", "bright_mass", "cortical_wedge", "either")
    for (low, high, at_surface), seen in found.items():
        if not seen:
            continue
        wanted = ({"bright_mass"}, {"cortical_wedge"}, {"bright_mass", "cortical_wedge"})
        counts = [sum(bool(codes & any_of) for codes in seen) for any_of in wanted]
        shares = [f"{held} ({held / len(seen):.0%})" for held in counts]
        name = "none" if high <= 0.01 else f"{low:g} to {high:g}"
        table.add_row(name, "yes" if at_surface else "no", str(len(seen)), *shares)
    Console(width=120).print(table)


def _print_skulls(label_maps: Path, heads: int, ensemble: Ensemble) -> None:
    """The rule about the skull on drawn heads: as they are, with a defect that brain fills, and one with a mass."""
    if not label_maps.exists():
        return
    library = load_library(label_maps)
    gaps: dict[str, list[float]] = {}
    for number, file in enumerate(head_files(label_maps)[:heads]):
        head = load_coded_head(file)
        for kind, fill in (("as it is", None), ("brain at the scalp", Tissue.CORTEX), ("mass", Extra.INFARCT)):
            drawn = head if fill is None else _without_skull(head, number, fill)
            scan = _drawn_with_skull(drawn, library, number)
            volume = FlairVolume(scan.flair, scan.spacing_mm)
            found = _anatomy(ensemble, volume)
            gaps.setdefault(kind, []).append(skull_gap_mm(volume, found.brain, found.infratentorial))
    table = Table("drawn heads", "of", "skull_gap", "gaps, mm")
    for kind, widths in gaps.items():
        held = sum(width >= SKULL_GAP_MM for width in widths)
        said = ", ".join(f"{width:.0f}" for width in widths)
        table.add_row(kind, str(len(widths)), f"{held} ({held / len(widths):.0%})", said)
    Console(width=120).print(table)


def _drawn_with_skull(head: CodedHead, library: LesionLibrary, number: int) -> Scan:
    """The first scan of this number that is not stripped; whether one is depends on the number alone."""
    tries = (draw_scan(head, library, _FIRST_DRAWN + 100 * number + more) for more in range(100))
    return next(scan for scan in tries if not scan.is_stripped)


def _without_skull(head: CodedHead, seed: int, fill: int) -> CodedHead:
    """A hole of 56 to 84 mm in the skull of the convexity, on one side, that `fill` fills up to the scalp.

    With `fill` a mass, a ball of it lies in the brain under the hole too.
    """
    generator = np.random.default_rng(seed)
    around = np.radians(generator.uniform(20, 160) * generator.choice((-1, 1)))
    up = np.radians(generator.uniform(10, 45))
    outwards = np.array([np.sin(around) * np.cos(up), np.cos(around) * np.cos(up), np.sin(up)])
    centre = head.cerebrum.mean(axis=1)
    places = (centre[:, None] + outwards[:, None] * np.arange(30, 120)).astype(np.int64)
    places = places[:, ((places >= 0) & (places < np.array(head.tissue.shape)[:, None])).all(axis=0)]
    within = np.isin(head.tissue[tuple(places)], (Tissue.CORTEX, Tissue.WHITE_MATTER))
    edge = 30 + int(np.flatnonzero(within)[-1])
    tissue = head.tissue.copy()
    hole = _distance(tissue.shape, centre + outwards * edge) < generator.uniform(28, 42)
    tissue[hole & np.isin(tissue, (Tissue.SKULL, Tissue.MARROW, Tissue.CSF))] = fill
    if fill == Extra.INFARCT:
        mass = _distance(tissue.shape, centre + outwards * (edge - 12)) < generator.uniform(15, 25)
        tissue[mass & np.isin(tissue, (Tissue.CORTEX, Tissue.WHITE_MATTER, Tissue.DEEP_GREY))] = fill
    return replace(head, tissue=tissue)


def _distance(shape: tuple[int, ...], centre: NDArray[np.float64]) -> Array:
    """Of each voxel from a point, in voxels of 1 mm."""
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return np.asarray(np.sqrt(sum((a - c).astype(np.float32) ** 2 for a, c in zip(axes, centre, strict=True))))


if __name__ == "__main__":
    typer.run(main)
