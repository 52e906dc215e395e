"""Every measure of the report in one line, with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Definition:
    """A measure: its name as it stands in tables, and what it means."""

    name: str
    meaning: str


_LINES: Final = {
    "DSC": """Dice similarity coefficient: 2 × overlap / (manual + automatic voxels); 1 is perfect.
        Two empty masks score 1, one empty mask 0.""",
    "HD": """Hausdorff distance: how far the worst-placed surface voxel of either mask lies from the other mask,
        in mm (3D) or voxel steps. Undefined when a mask is empty.""",
    "HD95": "the same, but the 95th percentile of the distances: not decided by one voxel.",
    "surface Dice": "share of both surfaces that lies within a tolerance of the other (Nikolov 2018).",
    "r": "Pearson correlation of automatic and manual volume: how close the cases are to a line.",
    "CCC": """Lin's concordance correlation coefficient: how close the cases are to the line of identity; above 0.8
        counts as excellent (Lin 1989; Altman 1991).""",
    "C_b": "bias correction factor: CCC = r × C_b; 1 when the best line is the line of identity.",
    "UI": """uncertainty index: share of the predicted voxels whose mean probability has a Kullback-Leibler divergence
        from 0.5 under 0.5 bit (0.5 ≤ p < 0.89). Of the model as it is served, or of
        its members that never saw the patient where only these are scored. The paper recommends a review above 0.35;
        the limit here is the model's own.""",
    "pairwise member Dice": "mean Dice of all pairs of members: how far the members agree (Zenk 2025).",
    "Soft Dice Confidence": """the DSC that the model expects of its own mask, from its probabilities alone
        (Borges 2024).""",
    "1/volume": "inverse of the predicted volume: the simple score that an uncertainty measure must beat.",
    "Brier, ECE": """calibration near lesions: mean squared error of the probability, and mean distance between
        predicted probability and observed share of WMH; 0 is perfect.""",
    "lesion recall, precision, F1": """counted in lesions (26-connected components), not voxels: manual lesions that a
        predicted voxel touches, predicted lesions that a manual voxel touches, and their harmonic mean.""",
    "periventricular, deep": """WMH within 10 mm (or 7.5 mm) of the ventricular surface, and the rest; the distance is
        taken in the plane of the slice (2d, as in the paper) or in space (3d): the settings say which.""",
    "risk-coverage": """cases are kept in order of certainty; risk is the mean of 1 - DSC of those kept.
        AUGRC: area under the generalised risk (Traub 2024); lower is better.""",
    "95 % CI, P": """the method of each interval and test is in its row; Student's interval of the mean of few cases
        may pass what the measure can be (0 and 1 for a share, 0 for a distance) and is cut there. P is two-sided, and
        below .05 counts as significant, as in the paper.""",
}

DEFINITIONS: Final = tuple(Definition(name, " ".join(meaning.split())) for name, meaning in _LINES.items())
