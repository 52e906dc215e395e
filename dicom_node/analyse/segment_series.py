"""One series in, one result set out, without a database: the public face for Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dicom_node.analyse.analysis import analyse_files, write_analysis
from dicom_node.analyse.follow_up.none_known import none_known
from dicom_node.node.files import make_folder
from dicom_node.node.profiles import DEFAULT_PROFILE, PROFILES, DeliveryOptions
from segmentation.bundle import load_bundle, reference_bundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.segment import Segmentation


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class SeriesResult:
    """What `segment_series` gives.

    Attributes:
        segmentation: masks and probabilities, (slice, row, column) on the grid of the images, and measures.
        measurements: the content of measurements.json.
        files: what was written: SEG, SR, measurements.json, overlay.png and what the profile adds.
    """

    segmentation: Segmentation
    measurements: dict[str, Any]
    files: tuple[Path, ...]


def segment_series(
    paths: Sequence[Path],
    out: Path,
    *,
    ensemble: Ensemble | None = None,
    profile: str = DEFAULT_PROFILE.name,
    progress: Callable[[str, int, int], None] | None = None,
) -> SeriesResult:
    """Segment the files of one FLAIR series and write its result set.

    The same files with the same model give the same UIDs and bytes as in a node. Research use only.

    Args:
        paths: the files of one series, in any order.
        out: folder for the results; made if missing.
        ensemble: from `segmentation.open_ensemble`, to be loaded once for many series; None: the shipped model.
        profile: viewer profile, which decides what is written beside SEG and SR.
        progress: called with (stage, done, total); stages read, preprocess, infer, measure, write.

    Raises:
        NotAnalysable: the series is refused; the reason is in the error.
        ValueError: no path, or an unknown profile.
    """
    if not paths:
        raise ValueError("expected the files of one series, got none")
    if profile not in PROFILES:
        raise ValueError(f"expected a profile of {', '.join(PROFILES)}, got {profile!r}")
    if ensemble is None:
        ensemble = open_ensemble(load_bundle(reference_bundle()))
    analysis = analyse_files(paths, ensemble, progress)
    make_folder(out)
    written = write_analysis(
        analysis,
        ensemble,
        arrival_of(paths),
        out,
        progress,
        all_options={"files": DeliveryOptions(PROFILES[profile])},
        follow_up=none_known(analysis.series.headers[0]),
    )
    return SeriesResult(analysis.segmentation, written.measurements, tuple(out / name for name in written.names))


def arrival_of(paths: Sequence[Path]) -> datetime:
    """The time that results carry: when the newest input file came, as for a served job.

    Not the clock: the same series with the same model gives the same UIDs, so it must give the same bytes.
    """
    return datetime.fromtimestamp(int(max(path.stat().st_mtime for path in paths)), UTC)
