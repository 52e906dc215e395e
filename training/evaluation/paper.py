"""What the paper reports: Kim, Ryu et al., AJNR 2024;45:1885, doi:10.3174/ajnr.A8418.

One table, keyed by statistic and group. Its "internal" is the internal test set (our `split:test`), its "external" the
combined six external sets. A cohort without splits (`all`) is set beside the external figures.
"""

from __future__ import annotations

from typing import Final

from training.evaluation.document import PaperFigure
from training.evaluation.groups import ALL, EXTERNAL, TEST

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


_HD_UNIT = "; the unit is not stated"

# The SE-UNet's figures, unless the name says `unet`.
PAPER: Final[dict[tuple[str, str], PaperFigure]] = {
    ("dsc_mean", TEST): _figure(0.675, 0.666, 0.685, where=_ABSTRACT),
    ("dsc_mean", EXTERNAL): _figure(0.722, 0.719, 0.726, where=_ABSTRACT),
    ("unet_dsc_mean", TEST): _figure(0.659, 0.649, 0.669, where=_ABSTRACT),
    ("unet_dsc_mean", EXTERNAL): _figure(0.710, 0.707, 0.714, where=_ABSTRACT),
    ("hd_mm_mean", TEST): _figure(9.09, 8.43, 9.74, where=_PERFORMANCE + _HD_UNIT),
    ("hd_mm_mean", EXTERNAL): _figure(8.98, 8.77, 9.18, where=_PERFORMANCE + _HD_UNIT),
    ("hd_pixels_mean", TEST): _figure(9.09, 8.43, 9.74, where=_PERFORMANCE + _HD_UNIT),
    ("hd_pixels_mean", EXTERNAL): _figure(8.98, 8.77, 9.18, where=_PERFORMANCE + _HD_UNIT),
    ("unet_hd_mean", TEST): _figure(10.44, 9.75, 11.14, where=_PERFORMANCE + _HD_UNIT),
    ("unet_hd_mean", EXTERNAL): _figure(10.44, 10.22, 10.65, where=_PERFORMANCE + _HD_UNIT),
    ("milliseconds_mean", EXTERNAL): _figure(74.0, sd=6.6, where=_PERFORMANCE),
    ("unet_milliseconds_mean", EXTERNAL): _figure(67.0, sd=9.6, where=_PERFORMANCE),
    ("volume_r", EXTERNAL): _figure(0.933, where=_ABSTRACT),
    ("unet_volume_r", EXTERNAL): _figure(0.917, where=_ABSTRACT),
    ("volume_ccc", EXTERNAL): _figure(0.931, 0.928, 0.934, where=_CORRELATION),
    ("volume_cb", EXTERNAL): _figure(0.990, where=_CORRELATION),
    ("predicted_ml_median", EXTERNAL): _figure(12.39, 6.02, 25.38, where=_CORRELATION),
    ("uncertainty_index_mean", EXTERNAL): _figure(0.2214, sd=0.1184, where=_PREDICTORS),
    ("uncertainty_index_dsc_r", EXTERNAL): _figure(-0.753, where=_PREDICTORS),
    ("triage_percent_below", EXTERNAL): _figure(86, where=_ABSTRACT),
    ("triage_dsc_below", EXTERNAL): _figure(0.746, where=_PREDICTORS),
    ("pv_dsc_mean", EXTERNAL): _figure(0.751, where=_IMPACT),
    ("deep_dsc_mean", EXTERNAL): _figure(0.617, where=_IMPACT),
    ("pv_dsc_7mm5_mean", EXTERNAL): _figure(0.751, where=_IMPACT),
    ("deep_dsc_7mm5_mean", EXTERNAL): _figure(0.628, where=_IMPACT),
    ("ventricle_dsc_mean", EXTERNAL): _figure(0.9034, where=_METHODS),
}

INTER_RATER_DSC: Final = _figure(0.744, 0.738, 0.751, where=_ABSTRACT)

# Stratum of a stratification -> mean DSC of the external sets.
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


def paper_figure(name: str, group: str) -> PaperFigure | None:
    """The paper's number for a statistic of a group; None where it gives none."""
    return PAPER.get((name, EXTERNAL if group == ALL else group))
