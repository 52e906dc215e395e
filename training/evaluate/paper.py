"""What the paper reports: Kim, Ryu et al., AJNR 2024;45:1885, doi:10.3174/ajnr.A8418.

A table a network, keyed by statistic and group. Its "internal" is the internal test set (our `split:test`), its
"external" the combined six external sets. A cohort without splits (`all`) is set beside the external figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from segmentation.regions import DistanceRule
from training.evaluate.architecture import SE_UNET, UNET, Network, network_of
from training.evaluate.document import PaperFigure
from training.evaluate.groups import ALL, EXTERNAL, TEST

Key = tuple[str, str]
"""Statistic and group."""

_ABSTRACT = "Abstract"
_PERFORMANCE = "Results, Algorithm Performance"
_PREDICTORS = "Results, Predictors of the Accuracy"
_CORRELATION = "Results, Correlation between Volumes"
_IMPACT = "Results, Impact of Volume and Location"
_METHODS = "Methods, Experiment and Analysis"


def _figure(
    value: float, low: float | None = None, high: float | None = None, sd: float | None = None, *, where: str
) -> PaperFigure:
    return PaperFigure(value=value, ci_low=low, ci_high=high, sd=sd, where=where)


def _distances(group: str, value: float, low: float, high: float) -> dict[Key, PaperFigure]:
    """The one Hausdorff distance beside both of ours."""
    where = f"{_PERFORMANCE}; the unit is not stated"
    found = PaperFigure(value=value, ci_low=low, ci_high=high, where=where, is_unit_stated=False)
    return {(name, group): found for name in ("hd_mm_mean", "hd_pixels_mean")}


# The ventricles are marked by a network of their own, beside whichever marks the WMH.
_VENTRICLES: Final = {("ventricle_dsc_mean", EXTERNAL): _figure(0.9034, where=_METHODS)}

_SE_UNET: Final[dict[Key, PaperFigure]] = {
    ("dsc_mean", TEST): _figure(0.675, 0.666, 0.685, where=_ABSTRACT),
    ("dsc_mean", EXTERNAL): _figure(0.722, 0.719, 0.726, where=_ABSTRACT),
    **_distances(TEST, 9.09, 8.43, 9.74),
    **_distances(EXTERNAL, 8.98, 8.77, 9.18),
    ("milliseconds_mean", EXTERNAL): _figure(74.0, sd=6.6, where=_PERFORMANCE),
    ("volume_r", EXTERNAL): _figure(0.933, where=_ABSTRACT),
    ("volume_ccc", EXTERNAL): _figure(0.931, 0.928, 0.934, where=_CORRELATION),
    ("volume_cb", EXTERNAL): _figure(0.990, where=_CORRELATION),
    ("predicted_ml_median", EXTERNAL): _figure(12.39, 6.02, 25.38, where=_CORRELATION),
    ("uncertainty_index_mean", EXTERNAL): _figure(0.2214, sd=0.1184, where=_PREDICTORS),
    ("uncertainty_index_dsc_r", EXTERNAL): _figure(-0.753, where=_PREDICTORS),
    ("triage_percent_below", EXTERNAL): _figure(86, where=f"{_ABSTRACT}; under 0.35"),
    ("triage_dsc_below", EXTERNAL): _figure(0.746, where=f"{_PREDICTORS}; under 0.35"),
    ("pv_dsc_mean", EXTERNAL): _figure(0.751, where=_IMPACT),
    ("deep_dsc_mean", EXTERNAL): _figure(0.617, where=_IMPACT),
    ("pv_dsc_7mm5_mean", EXTERNAL): _figure(0.751, where=_IMPACT),
    ("deep_dsc_7mm5_mean", EXTERNAL): _figure(0.628, where=_IMPACT),
    **_VENTRICLES,
}

# The paper goes on with the SE-UNet alone after these ("Correlation between Volumes").
_UNET: Final[dict[Key, PaperFigure]] = {
    ("dsc_mean", TEST): _figure(0.659, 0.649, 0.669, where=_ABSTRACT),
    ("dsc_mean", EXTERNAL): _figure(0.710, 0.707, 0.714, where=_ABSTRACT),
    **_distances(TEST, 10.44, 9.75, 11.14),
    **_distances(EXTERNAL, 10.44, 10.22, 10.65),
    ("milliseconds_mean", EXTERNAL): _figure(67.0, sd=9.6, where=_PERFORMANCE),
    ("volume_r", EXTERNAL): _figure(0.917, where=_ABSTRACT),
    **_VENTRICLES,
}

PAPER: Final[dict[Network, dict[Key, PaperFigure]]] = {SE_UNET: _SE_UNET, UNET: _UNET}

INTER_RATER_DSC: Final = _figure(0.744, 0.738, 0.751, where=_ABSTRACT)

# Stratum of a stratification -> mean DSC of the external sets, by the SE-UNet.
STRATA: Final[dict[tuple[str, str], PaperFigure]] = {
    ("infarct_volume", "< 1.7 mL"): _figure(0.737, 0.732, 0.742, where=_IMPACT),
    ("infarct_volume", "1.7-14 mL"): _figure(0.721, 0.715, 0.727, where=_IMPACT),
    ("infarct_volume", "> 14 mL"): _figure(0.695, 0.688, 0.703, where=_IMPACT),
    ("wmh_tertile", "lowest third"): _figure(0.617, where=_IMPACT),
    ("wmh_tertile", "highest third"): _figure(0.813, where=_IMPACT),
    ("region_10mm", "periventricular"): _figure(0.751, where=_IMPACT),
    ("region_10mm", "deep"): _figure(0.617, where=_IMPACT),
    ("region_7mm5", "periventricular"): _figure(0.751, where=_IMPACT),
    ("region_7mm5", "deep"): _figure(0.628, where=_IMPACT),
}


def external_mean(column: str, architecture: str) -> PaperFigure | None:
    """The paper's mean over its external sets of a column of `CaseRecord`, by the network that `architecture` names;
    None for another method, or where the paper gives none."""
    network = network_of(architecture)
    return None if network is None else PAPER[network].get((f"{column}_mean", EXTERNAL))


_REGIONS: Final = ("region_10mm", "region_7mm5", "pv_", "deep_")
"""How the names begin of what depends on the rule that divides periventricular and deep."""


@dataclass(frozen=True)
class PaperReference:
    """Which of the paper's numbers stand beside an evaluation.

    Attributes:
        network: which of the paper's two networks ours is.
        has_splits: our cases have parts, which the paper keeps apart, so that `all` has no number of the paper.
        distance_rule: ours; the paper measured in the slice's plane, and what it found is not set beside `3d`.
    """

    network: Network = SE_UNET
    has_splits: bool = False
    distance_rule: DistanceRule = "2d"

    def figure(self, name: str, group: str) -> PaperFigure | None:
        """The paper's number for a statistic of a group; None where it gives none for this network."""
        wanted = EXTERNAL if group == ALL and not self.has_splits else group
        return None if self._is_by_another_rule(name) else PAPER[self.network].get((name, wanted))

    def stratum(self, name: str, label: str) -> PaperFigure | None:
        """The paper's mean DSC of a stratum: it gives those of its SE-UNet only."""
        return None if self.network != SE_UNET or self._is_by_another_rule(name) else STRATA.get((name, label))

    def _is_by_another_rule(self, name: str) -> bool:
        return self.distance_rule != "2d" and name.startswith(_REGIONS)
