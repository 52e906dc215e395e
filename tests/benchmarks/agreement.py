"""How far two scans of one brain that has not changed differ: `python tests/benchmarks/agreement.py ../shared/data`.

No one was scanned twice on one day in the data at hand, so that pairs without a change are made:

| kind     | pair                                                                                                |
|----------|-----------------------------------------------------------------------------------------------------|
| phantom  | one drawn head on two dates: another pose, other noise                                              |
| slabs    | a real 3D FLAIR averaged to slices of 5 mm twice, in another pose, with other noise                 |
| moved    | every third real 2D FLAIR, and the same resampled in another pose, with noise                       |
| visits   | real visits of one patient, months apart: the change is real as far as the set's own masks have one |
| strangers| FLAIR of two patients: what the registration must not accept                                        |

The node's own way is measured: shipped model, brain, mask, registration, site by site. `--out` writes the evidence
(docs/evidence/agreement.json), from which `segmentation.agreement` has its numbers. `--cache` keeps masks and pairs, so
that a run that was ended goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dicom_node.demo.phantom.phantom import PhantomSpec, make_phantom
from segmentation.bundle import load_bundle, reference_bundle
from segmentation.change import KINDS, Changes, compare_scans
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.nifti import read_flair_nifti, read_mask_nifti
from segmentation.registration import Registration, register_rigidly, resample_onto
from segmentation.segment import segment_volume
from segmentation.volume import FlairVolume

Affine = NDArray[np.float64]
Mask = NDArray[np.bool_]

_PHANTOM_ML: Final = (1.0, 3.0, 6.0, 10.0, 15.0, 20.0, 30.0, 45.0)
_DATES: Final = ("2024-01-10", "2025-01-12")
_SLAB_MM: Final = 5.0
_TURN_DEGREES: Final = 4.0
_SHIFT_MM: Final = 3.0
_NOISE: Final = 0.02  # of the 99th percentile
_EVERY: Final = 3
_LEAST_ML: Final = 0.5  # of less, a percentage says nothing


@dataclass(frozen=True, eq=False)
class Scan:
    """One volume with where it lies."""

    name: str
    volume: FlairVolume
    affine: Affine


@dataclass(frozen=True, eq=False)
class Pair:
    """Two scans of one head; `truth` is the pose between them where it is known (later mm to earlier mm)."""

    kind: str
    earlier: Scan
    later: Scan
    truth: Affine | None = None
    changed: Mask | None = None

    @property
    def names(self) -> list[str]:
        """Of both scans."""
        return [self.earlier.name, self.later.name]


class Masks:
    """The shipped model's masks, each computed once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._ensemble: Ensemble | None = None
        self.digest = load_bundle(reference_bundle()).identity.digest

    def of(self, scan: Scan) -> Mask:
        """The delivered mask of a scan."""
        key = hashlib.sha256((self.digest + scan.volume.voxels_digest).encode()).hexdigest()[:24]
        file = None if self._folder is None else self._folder / f"{key}.npy"
        if file is not None and file.exists():
            return np.asarray(np.load(file))
        self._ensemble = self._ensemble or open_ensemble(load_bundle(reference_bundle()))
        mask = segment_volume(scan.volume, self._ensemble).mask
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, mask)
        return mask


def main(
    data: Annotated[Path, typer.Argument(help="folder that holds flair-wmh, flair-unlabelled, ...", exists=True)],
    out: Annotated[Path | None, typer.Option(help="where the evidence is written, JSON")] = None,
    cache: Annotated[Path | None, typer.Option(help="folder where masks and pairs are kept")] = None,
    kinds: Annotated[list[str] | None, typer.Option(help="only these kinds of pairs; again for each")] = None,
) -> None:
    """Measure agreement and registration."""
    masks = Masks(cache)
    rows = []
    for pair in _pairs(data, kinds or [*_PAIRS, "strangers"]):
        rows.append(_kept(cache, [pair.kind, *pair.names, masks.digest], partial(_compared, pair, masks)))
        typer.echo(json.dumps(rows[-1]))
    strangers = []
    for one, other in _strangers(data) if kinds is None or "strangers" in kinds else ():
        strangers.append(_kept(cache, ["strangers", one.name, other.name], partial(_registered, one, other)))
        typer.echo(json.dumps(strangers[-1]))
    evidence = {"model_digest": masks.digest, **_summary(rows, strangers), "pairs": rows, "strangers": strangers}
    typer.echo(json.dumps({key: value for key, value in evidence.items() if key not in ("pairs", "strangers")}))
    if out is not None:
        out.write_text(json.dumps(evidence, indent=1) + "\n")


def _pairs(data: Path, kinds: Sequence[str]) -> Iterator[Pair]:
    for kind, pairs in _PAIRS.items():
        if kind in kinds:
            yield from pairs(data)


def _phantoms(_: Path) -> Iterator[Pair]:
    for seed, wmh_ml in enumerate(_PHANTOM_ML, start=400):
        scans = []
        for date in _DATES:
            made = make_phantom(PhantomSpec(seed=seed, wmh_ml=wmh_ml, date=date))
            scans.append(Scan(f"phantom {seed} {date}", FlairVolume(made.flair, made.spec.spacing_mm), made.affine))
        yield Pair("phantom", *scans)


def _slabs(data: Path) -> Iterator[Pair]:
    """Another pose and other noise each."""
    paths = [*sorted(data.glob("flair-mslesseg/*/flair.nii.gz")), *data.glob("flair-other/synthsr_example_3d.nii.gz")]
    for path in paths:
        whole = _read(path)
        random = np.random.default_rng(int(hashlib.sha256(whole.name.encode()).hexdigest()[:8], 16))
        poses = [_pose(random, whole) for _ in range(2)]
        scans = [_slab_scan(whole, pose, random, number) for number, pose in enumerate(poses)]
        # A slab scan's mm are those of a scanner in which the head lies as `pose` says.
        yield Pair("slabs", *scans, truth=np.linalg.inv(poses[0]) @ poses[1])


def _moved(data: Path) -> Iterator[Pair]:
    paths = [*sorted(data.glob("flair-wmh/*/flair.nii.gz")), *sorted(data.glob("flair-unlabelled/*.nii.gz"))]
    for path in paths[::_EVERY]:
        scan = _read(path)
        random = np.random.default_rng(int(hashlib.sha256(scan.name.encode()).hexdigest()[:8], 16))
        pose = _pose(random, scan)
        shape = _shape(scan.volume.voxels)
        values = resample_onto(Registration(pose, 1.0), scan.volume.voxels, scan.affine, shape, scan.affine)
        again = FlairVolume(_noisy(values, random), scan.volume.spacing_mm)
        yield Pair("moved", scan, Scan(f"{scan.name} moved", again, scan.affine), truth=pose)


def _visits(data: Path) -> Iterator[Pair]:
    for patient in ("patient01", "patient03"):
        paths = [data / "flair-unlabelled" / f"openms_{patient}_study{number}.nii.gz" for number in (1, 2)]
        if not all(path.exists() for path in paths):
            continue
        earlier, later = map(_read, paths)
        _, grid = read_flair_nifti(paths[1])
        changed = read_mask_nifti(data / "flair-follow-up" / patient / "study2_change.nii.gz", grid)
        yield Pair("visits", earlier, later, changed=changed)
    visits = [_read(path) for path in sorted(data.glob("flair-mslesseg/*/flair.nii.gz"))]
    for earlier, later in pairwise(visits):
        yield Pair("visits", _slab_scan(earlier, np.eye(4), None, 0), _slab_scan(later, np.eye(4), None, 1))


_PAIRS: Final[dict[str, Callable[[Path], Iterator[Pair]]]] = {
    "phantom": _phantoms,
    "visits": _visits,
    "slabs": _slabs,
    "moved": _moved,
}


def _strangers(data: Path) -> Iterator[tuple[Scan, Scan]]:
    """Every third pair of neighbours in the list of patients; one scan a patient."""
    paths = [*sorted(data.glob("flair-wmh/*/flair.nii.gz")), *sorted(data.glob("flair-unlabelled/*study1.nii.gz"))]
    scans = [_read(path) for path in paths if path.parent.name != "112776"]  # of the same patient as 107130
    yield from list(pairwise(scans))[::_EVERY]


def _registered(one: Scan, other: Scan) -> dict[str, Any]:
    found = register_rigidly(other.volume, other.affine, one.volume, one.affine)
    return {"names": [one.name, other.name], "correlation": round(found.correlation, 3)}


def _kept(cache: Path | None, key: list[str], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What an earlier run measured, or is measured now; without the cache's folder all is measured again."""
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    file = None if cache is None else cache / f"{name}.json"
    if file is not None and file.exists():
        return dict(json.loads(file.read_text()))
    row = measure()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(row))
    return row


def _compared(pair: Pair, masks: Masks) -> dict[str, Any]:
    earlier_mask, later_mask = masks.of(pair.earlier), masks.of(pair.later)
    changes, found = compare_scans(
        pair.earlier.volume,
        pair.earlier.affine,
        earlier_mask,
        pair.later.volume,
        pair.later.affine,
        later_mask,
    )
    row: dict[str, Any] = {
        "kind": pair.kind,
        "names": [pair.earlier.name, pair.later.name],
        "earlier_ml": round(float(earlier_mask.sum() * pair.earlier.volume.voxel_volume_ml), 3),
        "later_ml": round(float(later_mask.sum() * pair.later.volume.voxel_volume_ml), 3),
        "correlation": round(found.correlation, 3),
        "sites": {kind: changes.count(kind) for kind in KINDS},
        "changed_ml": {kind: round(changes.change_ml(kind), 2) for kind in KINDS if kind != "stable"},
    }
    if pair.truth is not None:
        row["error_mm"] = round(_error_mm(found.matrix, pair.truth, pair.later), 2)
    if pair.changed is not None:
        row["truth"] = _against_truth(changes, pair.changed, pair.later.volume.voxel_volume_ml)
    row["site_changes"] = [[round(site.earlier_ml, 3), round(site.now_ml, 3)] for site in changes.sites]
    return row


def _against_truth(changes: Changes, changed: Mask, voxel_volume_ml: float) -> dict[str, Any]:
    """How many of the sites that touch a change of the set's own masks are called changed, and of the others."""
    found = {"touching": 0, "touching_called_changed": 0, "others": 0, "others_called_changed": 0}
    for site in changes.sites:
        touches = int((changed & (changes.labels == site.label)).sum()) * voxel_volume_ml >= 0.02
        key = "touching" if touches else "others"
        found[key] += 1
        found[f"{key}_called_changed"] += site.kind != "stable"
    return found


def _summary(rows: list[dict[str, Any]], strangers: list[dict[str, Any]]) -> dict[str, Any]:
    """Limits of agreement as +-1.96 SD of ln(later / earlier) in percent, the mean left at 0: nothing has changed."""
    summary: dict[str, Any] = {"limits_percent": {}, "sites_called_changed": {}, "volumes_off_ml": {}}
    for kind in ("phantom", "slabs", "moved", "all"):
        of_kind = [row for row in rows if row["kind"] == kind or (kind == "all" and row["kind"] != "visits")]
        if not of_kind:
            continue
        ratios = [
            float(np.log(row["later_ml"] / row["earlier_ml"]))
            for row in of_kind
            if min(row["later_ml"], row["earlier_ml"]) >= _LEAST_ML
        ]
        spread = float(np.sqrt(np.mean(np.square(ratios)))) if ratios else float("nan")
        summary["limits_percent"][kind] = round(100 * (float(np.exp(1.96 * spread)) - 1), 1)
        off = [abs(row["later_ml"] - row["earlier_ml"]) for row in of_kind]
        summary["volumes_off_ml"][kind] = {"median": round(float(np.median(off)), 2), "most": round(max(off), 2)}
        counted = {name: sum(row["sites"][name] for row in of_kind) for name in KINDS}
        summary["sites_called_changed"][kind] = {
            "sites": sum(counted.values()),
            "changed": sum(counted.values()) - counted["stable"],
        }
    summary["correlation"] = {
        "same_head_least": min(row["correlation"] for row in rows),
        "strangers_most": max(row["correlation"] for row in strangers) if strangers else None,
    }
    errors = [row["error_mm"] for row in rows if "error_mm" in row]
    if errors:
        summary["registration_error_mm"] = {"median": round(float(np.median(errors)), 2), "most": max(errors)}
    return summary


def _error_mm(found: Affine, truth: Affine, scan: Scan) -> float:
    """Mean distance of where both put the head's voxels."""
    inside = np.argwhere(scan.volume.voxels > 0.1 * np.percentile(scan.volume.voxels, 99))[::997, ::-1]
    points = inside @ scan.affine[:3, :3].T + scan.affine[:3, 3]
    there = [points @ matrix[:3, :3].T + matrix[:3, 3] for matrix in (found, truth)]
    return float(np.linalg.norm(there[0] - there[1], axis=1).mean())


def _slab_scan(whole: Scan, pose: Affine, random: np.random.Generator | None, number: int) -> Scan:
    """Slices of `_SLAB_MM` of a 3D scan, as of a head that lies as `pose` says (scanner mm to the 3D scan's mm)."""
    depth, height, width = _shape(whole.volume.voxels)
    every = round(_SLAB_MM / whole.volume.spacing_mm[0])
    values = resample_onto(
        Registration(pose, 1.0), whole.volume.voxels, whole.affine, (depth, height, width), whole.affine
    )
    count = depth // every
    slabs = values[: count * every].reshape(count, every, height, width).mean(axis=1)
    turn = np.eye(4)
    turn[2, 2], turn[2, 3] = every, (every - 1) / 2
    spacing = (every * whole.volume.spacing_mm[0], *whole.volume.spacing_mm[1:])
    voxels = slabs.astype(np.float32) if random is None else _noisy(slabs, random)
    return Scan(f"{whole.name} slabs {number}", FlairVolume(voxels, spacing), whole.affine @ turn)


def _noisy(values: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Rician noise in the head."""
    sigma = _NOISE * float(np.percentile(values, 99))
    real, imaginary = (random.normal(0.0, sigma, values.shape) for _ in range(2))
    noisy = np.hypot(values + real, imaginary)
    return np.where(values > 0, noisy, 0.0).astype(np.float32)


def _pose(random: np.random.Generator, scan: Scan) -> Affine:
    """A turn about the middle of the grid and a shift, mm to mm."""
    middle = scan.affine[:3, :3] @ ((np.array(_shape(scan.volume.voxels))[::-1] - 1) / 2) + scan.affine[:3, 3]
    pose = np.eye(4)
    turn = Rotation.from_euler("xyz", random.uniform(-_TURN_DEGREES, _TURN_DEGREES, 3), degrees=True)
    pose[:3, :3] = turn.as_matrix()
    pose[:3, 3] = middle + random.uniform(-_SHIFT_MM, _SHIFT_MM, 3) - pose[:3, :3] @ middle
    return pose


def _read(path: Path) -> Scan:
    volume, grid = read_flair_nifti(path)
    name = path.parent.name if path.name == "flair.nii.gz" else path.name.removesuffix(".nii.gz")
    return Scan(name, volume, grid.axial_affine_lps)


def _shape(voxels: NDArray[np.float32]) -> tuple[int, int, int]:
    depth, height, width = voxels.shape
    return depth, height, width


if __name__ == "__main__":
    typer.run(main)
