"""Can this result be right? A table of rules that every result passes before it is delivered.

Each rule looks at the `Evidence` of one result and gives `review` (a person must look before the number is used) or
`not_reliable` (the number must not be used). The strictest rule decides; every rule that holds is a reason.

| code                  | holds when                                           | gives        | why |
|-----------------------|------------------------------------------------------|--------------|-----|
| no_brain_found        | brain mask under 100 mL                              | not_reliable | a   |
| implausible_brain     | brain mask above 2,500 mL                            | not_reliable | a   |
| implausible_volume    | WMH above 200 mL                                     | not_reliable | b   |
| implausible_share     | WMH above 20 % of the brain                          | not_reliable | b   |
| mostly_outside_brain  | over half of 1 mL or more outside the brain          | not_reliable | c   |
| at_the_skull          | over half of 1 mL or more within 5 mm of the edge    | not_reliable | c   |
| almost_all_uncertain  | uncertainty index 0.9 or more, of 1 mL or more       | not_reliable | d   |
| interval_covers_brain | interval wider than a quarter of the brain           | not_reliable | e   |
| bright_mass           | a disc of 9 mm radius of bright tissue in a slice    | review       | f   |
| cortical_wedge        | bright on one side from the surface 10 mm deep       | review       | j   |
| skull_gap             | no skull along 30 mm on one side, in two slices      | review       | k   |
| one_sided             | 5 mL or more, 90 % of it in one half of the brain    | review       | g   |
| dominating_lesion     | 5 mL or more, 75 % of it one lesion on one side      | review       | g   |
| partly_outside_brain  | over a tenth and over 0.5 mL outside the brain       | review       | c   |
| near_the_skull        | over a fifth of 1 mL or more within 5 mm of the edge | review       | c   |
| large_share           | WMH above 8 % of the brain                           | review       | b   |
| wide_interval         | interval wider than 20 mL and 2.5 times the volume   | review       | e   |
| uncertain             | uncertainty index above the model's limit            | review       | d   |
| small_brain           | brain mask under 500 mL                              | review       | a   |
| lost_slices           | slices in the brain show no head, or another's image | review       | l   |
| lost_lines            | rows or columns in the brain hold one value or noise | review       | l   |
| unlike_flair          | fluid or tissue brighter than the model's limits     | review       | h   |
| extreme_pixels        | extreme pixels decide the scale of the images        | review       | i   |

a: an adult brain holds 1,000 mL and more; less is a part of it, or the mask fails. The masks of real scans hold up to
   1,720 mL, in MNI space 1,950; two and a half litres are no brain, but air or padding.
b: the labelled scans at hand hold up to 56 mL, and up to 3 % of the brain.
c: of the labelled scans' WMH less than 1 % lies outside the brain mask and 2 % at most within 5 mm of its edge.
d: Kim, Ryu et al., AJNR 2024;45:1885; the limit is the model's own.
e: such an interval says nothing about the volume.
f: 2 of 20 real scans without a mass have 9 mm or more, most under 8; a glioma has 14.6 mm, as do most large infarcts.
g: vascular WMH is bilateral and mostly symmetric (Wardlaw et al., Lancet Neurol 2013;12:822).
h: 5th percentile, interquartile range and 99th percentile of the brain over its median, above the limits that the
   bundle states of its training images (`intensities` of the manifest); where it states none, above 0.75, 0.5 and 2.5,
   and the reason says so: 0.2 to 0.6, 0.2 to 0.3 and 1.4 to 1.8 on real FLAIR of five scanners.
i: by the preprocessing's own flag `extreme_pixels`, where it divides each slice by its maximum.
j: bright as in f, 1.5 cm2 in a slice, 8 mm of it at the surface, 0.3 of the median brain brighter than the other side:
   a cortical infarct is a wedge with its base at the surface, WMH spares the cortex; none of 20 real scans has one.
k: 17 real scans with a skull have up to 24 mm; needs an anatomy network.
l: of 21 real scans none has one; see `segmentation/lost_slices.py`.

Measured by `make plausibility`, catch and false-alarm rates of each rule: docs/researcher/plausibility.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from segmentation.evidence import RIM_MM, Evidence

Reliability = Literal["ok", "review", "not_reliable"]
_ORDER: Final = ("ok", "review", "not_reliable")

LEAST_BRAIN_ML: Final = 100.0
MOST_BRAIN_ML: Final = 2500.0
_ENOUGH_ML: Final = 1.0  # of less, shares say nothing
_SIDED_ML: Final = 5.0
SKULL_GAP_MM: Final = 30.0


@dataclass(frozen=True)
class Reason:
    """Why a result is doubted.

    Attributes:
        code: stable, for programs.
        reliability: what the reason alone makes of the result: `review` or `not_reliable`.
        headline: a few words for large type.
        sentence: for a person, ASCII.
    """

    code: str
    reliability: Reliability
    headline: str
    sentence: str


@dataclass(frozen=True)
class Plausibility:
    """The verdict on one result: the strictest of its reasons, which come in the order of the table."""

    reasons: tuple[Reason, ...] = ()

    @property
    def reliability(self) -> Reliability:
        """`ok` without a reason."""
        return max((reason.reliability for reason in self.reasons), key=_ORDER.index, default="ok")

    @property
    def headline(self) -> str | None:
        """Of the first reason that gives the verdict; None where there is none."""
        return next((reason.headline for reason in self.reasons if reason.reliability == self.reliability), None)


PLAUSIBLE: Final = Plausibility()


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Attributes:
        code, reliability, headline: of the reason that it gives.
        holds: whether it does.
        sentence: with the numbers of the case.
    """

    code: str
    reliability: Reliability
    headline: str
    holds: Callable[[Evidence], bool]
    sentence: Callable[[Evidence], str]

    def reason(self, evidence: Evidence) -> Reason | None:
        """What it says of a case; None where it does not hold."""
        if not self.holds(evidence):
            return None
        return Reason(self.code, self.reliability, self.headline, self.sentence(evidence))


def assess_plausibility(evidence: Evidence) -> Plausibility:
    """Apply every rule; a milder rule of the same kind is silent where the stricter one speaks."""
    found = tuple(reason for rule in RULES if (reason := rule.reason(evidence)) is not None)
    said = {reason.code for reason in found}
    return Plausibility(tuple(reason for reason in found if _STRICTER.get(reason.code, "") not in said))


_STRICTER: Final = {
    "uncertain": "almost_all_uncertain",
    "large_share": "implausible_share",
    "partly_outside_brain": "mostly_outside_brain",
    "near_the_skull": "at_the_skull",
    "small_brain": "no_brain_found",
    "dominating_lesion": "one_sided",
    "wide_interval": "interval_covers_brain",
}


def _ml(evidence: Evidence) -> float:
    return evidence.measures.wmh_volume_ml


def _index(evidence: Evidence) -> float:
    return evidence.measures.uncertainty_index or 0.0


def _width(evidence: Evidence) -> float:
    interval = evidence.measures.volume_interval_ml
    return interval.upper_ml - interval.lower_ml


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def _outside_sentence(e: Evidence) -> str:
    return (
        f"{e.outside_ml:.1f} mL ({_percent(e.outside_share)}) of what the model marked lay outside the brain and was "
        "left out."
    )


def _rim_sentence(e: Evidence) -> str:
    return f"{_percent(e.rim_share)} of the WMH lies within {RIM_MM:.0f} mm of the edge of the brain."


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "no_brain_found",
        "not_reliable",
        "no brain found",
        lambda e: e.brain_ml < LEAST_BRAIN_ML,
        lambda e: "No brain was found in the images, so that WMH outside it could not be left out.",
    ),
    Rule(
        "implausible_brain",
        "not_reliable",
        "implausible brain",
        lambda e: e.brain_ml > MOST_BRAIN_ML,
        lambda e: (
            f"{e.brain_ml:.0f} mL of the images look like brain, more than a head holds: the images are inverted, "
            "padded or of something else."
        ),
    ),
    Rule(
        "implausible_volume",
        "not_reliable",
        "implausible volume",
        lambda e: _ml(e) > 200.0,
        lambda e: f"A WMH volume of {_ml(e):.0f} mL is above 200 mL, more than is plausible.",
    ),
    Rule(
        "implausible_share",
        "not_reliable",
        "implausible volume",
        lambda e: (e.share_of_brain or 0.0) > 0.20,
        lambda e: f"WMH takes up {_percent(e.share_of_brain or 0.0)} of the brain, more than is plausible.",
    ),
    Rule(
        "mostly_outside_brain",
        "not_reliable",
        "marked outside the brain",
        lambda e: e.outside_ml + _ml(e) >= _ENOUGH_ML and e.outside_share > 0.5,
        _outside_sentence,
    ),
    Rule(
        "at_the_skull",
        "not_reliable",
        "marked at the skull",
        lambda e: _ml(e) >= _ENOUGH_ML and e.rim_share > 0.5,
        _rim_sentence,
    ),
    Rule(
        "almost_all_uncertain",
        "not_reliable",
        "model unsure",
        lambda e: _ml(e) >= _ENOUGH_ML and _index(e) >= 0.9,
        lambda e: f"The model is unsure about {_percent(_index(e))} of the WMH.",
    ),
    Rule(
        "interval_covers_brain",
        "not_reliable",
        "the interval says nothing",
        lambda e: e.brain_ml >= LEAST_BRAIN_ML and _width(e) > 0.25 * e.brain_ml,
        lambda e: f"The interval is {_width(e):.0f} mL wide, {_percent(_width(e) / e.brain_ml)} of the brain.",
    ),
    Rule(
        "bright_mass",
        "review",
        "possible mass or infarct",
        lambda e: e.mass_radius_mm >= 9.0,
        lambda e: (
            f"Bright tissue fills a disc of {2 * e.mass_radius_mm:.0f} mm in one slice, wider than WMH usually is: "
            "possible infarct, tumour or surgery. It may be counted as WMH or left out."
        ),
    ),
    Rule(
        "cortical_wedge",
        "review",
        "possible infarct",
        lambda e: e.wedge_cm2 > 0.0,
        lambda e: (
            f"A bright region of {e.wedge_cm2:.1f} cm2 in one slice reaches from the surface of the brain into the "
            "depth and has no like on the other side: possible infarct. It may be counted as WMH or left out."
        ),
    ),
    Rule(
        "skull_gap",
        "review",
        "possible skull defect",
        lambda e: e.skull_gap_mm >= SKULL_GAP_MM,
        lambda e: (
            f"On one side no skull is seen along {e.skull_gap_mm:.0f} mm of the edge of the brain: possible surgery, "
            "tumour or injury. What lies there may be counted as WMH or left out."
        ),
    ),
    Rule(
        "one_sided",
        "review",
        "one-sided",
        lambda e: _ml(e) >= _SIDED_ML and e.side > 0.8,
        lambda e: (
            f"{_percent((1 + e.side) / 2)} of the WMH lies in one half of the brain: possible infarct, tumour or "
            "surgery."
        ),
    ),
    Rule(
        "dominating_lesion",
        "review",
        "one dominating lesion",
        lambda e: _ml(e) >= _SIDED_ML and e.largest_ml > 0.75 * _ml(e) and e.largest_side > 0.9,
        lambda e: (
            f"One lesion of {e.largest_ml:.1f} mL on one side makes up {_percent(e.largest_ml / _ml(e))} of the WMH: "
            "possible infarct, tumour or surgery."
        ),
    ),
    Rule(
        "partly_outside_brain",
        "review",
        "marked outside the brain",
        lambda e: e.outside_ml > 0.5 and e.outside_share > 0.1,
        _outside_sentence,
    ),
    Rule(
        "near_the_skull",
        "review",
        "marked at the skull",
        lambda e: _ml(e) >= _ENOUGH_ML and e.rim_share > 0.2,
        _rim_sentence,
    ),
    Rule(
        "large_share",
        "review",
        "large WMH volume",
        lambda e: (e.share_of_brain or 0.0) > 0.08,
        lambda e: f"WMH takes up {_percent(e.share_of_brain or 0.0)} of the brain, which is rare.",
    ),
    Rule(
        "wide_interval",
        "review",
        "wide interval",
        lambda e: _width(e) > 20.0 and _width(e) > 2.5 * _ml(e),
        lambda e: f"The interval is {_width(e):.0f} mL wide for a volume of {_ml(e):.1f} mL.",
    ),
    Rule(
        "uncertain",
        "review",
        "model unsure",
        lambda e: e.measures.review_recommended and not e.scaled_by_extremes,
        lambda e: f"The model is unsure about {_percent(_index(e))} of the WMH, more than its limit for review.",
    ),
    Rule(
        "small_brain",
        "review",
        "little brain found",
        lambda e: e.brain_ml < 500.0,
        lambda e: (
            f"Only {e.brain_ml:.0f} mL of brain was found: the images cover a part of it, or it was not recognised."
        ),
    ),
    Rule(
        "lost_slices",
        "review",
        "slices without their image",
        lambda e: e.lost_slices > 0,
        lambda e: (
            f"{e.lost_slices} {'slice' if e.lost_slices == 1 else 'slices'} inside the brain "
            f"{'is' if e.lost_slices == 1 else 'are'} empty, broken, far too dark or bright, or the image of another "
            "slice: WMH there is not counted, or wrong. Send the series again."
        ),
    ),
    Rule(
        "lost_lines",
        "review",
        "lines without their image",
        lambda e: e.lost_lines > 0,
        lambda e: (
            f"{e.lost_lines} {'line' if e.lost_lines == 1 else 'lines'} of pixels inside the brain "
            f"{'holds' if e.lost_lines == 1 else 'hold'} one value or noise: WMH there is not counted, or wrong."
        ),
    ),
    Rule(
        "unlike_flair",
        "review",
        "unusual images",
        lambda e: e.brain_ml >= LEAST_BRAIN_ML and e.is_unlike_training,
        lambda e: (
            "The brightness of brain and fluid differs from that of the FLAIR images that the model was trained on."
            if e.limits.of_training
            else "The brightness of brain and fluid differs from that of FLAIR images in general; the model does not "
            "state what its training images were like."
        ),
    ),
    Rule(
        "extreme_pixels",
        "review",
        "extreme pixels",
        lambda e: e.scaled_by_extremes,
        lambda e: (
            "A few pixels far brighter than tissue, such as an artefact, a text or a defect, decide how bright the "
            "images look to the model."
        ),
    ),
)
"""In the order in which reasons are given: strictest first, then what may be another disease, then doubt."""
