"""The checks of a model before it goes live: it loads, predicts what it did when it was written, segments no worse.

| check                | what is expected                                                                              |
|----------------------|-----------------------------------------------------------------------------------------------|
| loads                | the bundle is whole, and the configured runtime compiles it on this machine                   |
| golden predictions   | of the drawn head in the bundle it says what the bundle holds (`segmentation.golden`)         |
| golden cases         | DSC on the drawn head, whose lesions are known, not far below that of the live model          |
| DSC                  | mean over the given cases at most `margin` below that of the live model                       |

Without cases the DSC is not measured, and the last check fails. A person may overrule all but the first, for a reason;
a model that does not load is never made live: no worker could begin a job with it, and a rollback to it is refused.

Runs in the process of the command, never in the worker's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from dicom_node.models.choice import ModelChoice
from dicom_node.node.logs import describe_error
from dicom_node.node.progress import StageProgress
from segmentation.bundle import ModelBundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.errors import BadVolume, SegmentationError
from segmentation.golden_check import check_golden
from segmentation.golden_head import draw_head, draw_lesions
from segmentation.runtimes.choose import RuntimeChoice
from segmentation.segment import segment_volume
from training.dice import dice
from training.errors import BadCase

if TYPE_CHECKING:
    from training.data.cases import Case


LOADS: Final = "loads"
GOLDEN: Final = "golden predictions"
GOLDEN_CASES: Final = "golden cases"
DSC: Final = "DSC"
# Means of the same numbers in another order differ in the last digits: a model is never worse than itself.
_ROUNDING: Final = 1e-9
# A drawn head is no patient: a model that is better on patients may be somewhat worse on it.
_DRAWN_MARGIN: Final = 0.2
_DRAWN_SIZE: Final = 256


class CheckState(StrEnum):
    """The outcome of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MADE = "not made"


@dataclass(frozen=True)
class ModelCheck:
    """One check: what was expected, and what came; or why it was not made."""

    name: str
    state: CheckState
    expected: str
    came: str

    def __str__(self) -> str:
        return f"{self.name} {self.state}: expected {self.expected}; got {self.came}"


@dataclass(frozen=True)
class CheckedCase:
    """DSC of one case (by the rule of `training.dice`), by the live model and by the one to promote."""

    case: str
    live_dsc: float
    dsc: float


@dataclass(frozen=True)
class ModelVerdict:
    """What the checks found.

    Attributes:
        margin: how far the mean DSC may lie below the live model's.
        checks: in the order in which they were made; every check is named, also one that was not made.
        cases: what both models score; empty when they were not compared.
    """

    margin: float
    checks: tuple[ModelCheck, ...]
    cases: tuple[CheckedCase, ...]

    @property
    def failed(self) -> tuple[ModelCheck, ...]:
        """The checks that speak against the model."""
        return tuple(check for check in self.checks if check.state is CheckState.FAILED)

    @property
    def passed(self) -> bool:
        """No check failed. A check that was not requested does not count."""
        return not self.failed

    @property
    def can_be_overruled(self) -> bool:
        """A person may promote it anyway: a worker can load it. One that none can load would stop all work."""
        return all(check.name != LOADS for check in self.failed)

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> ModelVerdict:
        """From `plain`."""
        return cls(
            margin=float(values["margin"]),
            checks=tuple(ModelCheck(**{**check, "state": CheckState(check["state"])}) for check in values["checks"]),
            cases=tuple(CheckedCase(**case) for case in values["cases"]),
        )

    def plain(self) -> dict[str, Any]:
        """The verdict for JSON and for the promotion's row."""
        return {
            "passed": self.passed,
            "margin": self.margin,
            "checks": [{**asdict(check), "state": str(check.state)} for check in self.checks],
            "cases": [asdict(case) for case in self.cases],
        }


def check_model(
    candidate: ModelChoice,
    live: ModelChoice,
    runtime: RuntimeChoice,
    cases: Sequence[Case],
    margin: float,
    progress: StageProgress,
    threads: int | None = None,
) -> ModelVerdict:
    """Hold a model to every check.

    Args:
        candidate: the model to promote.
        live: what it shall replace: the live model, or the shipped one before anything was promoted.
        runtime: as configured for the worker.
        cases: labelled cases to compare on; without any, the DSC check fails.
        margin: how far the mean DSC may lie below the live model's.
        progress: stages load, golden, and compare, which counts segmentations.
        threads: CPU threads for inference, as configured for the worker; None: every core.

    Raises:
        BadCase: a case that cannot be segmented.
    """
    progress("load", 0, 1)
    loads, opened = _check_loads(candidate, runtime, threads)
    progress("load", 1, 1)
    if opened is None:
        others = (_not_made(name, "it does not load") for name in (GOLDEN, GOLDEN_CASES, DSC))
        return ModelVerdict(margin, (loads, *others), ())
    progress("golden", 0, 1)
    golden = _check_golden(*opened)
    progress("golden", 1, 1)
    if not cases:
        unmeasured = ModelCheck(DSC, CheckState.FAILED, "labelled cases to measure it on", "none: give --cases DIR")
        not_made = _not_made(GOLDEN_CASES, "no cases were given")
        return ModelVerdict(margin, (loads, golden, not_made, unmeasured), ())
    live_loads, live_opened = _check_loads(live, runtime, threads)
    if live_opened is None:
        dsc = ModelCheck(DSC, CheckState.FAILED, "a live model to compare with", live_loads.came)
        return ModelVerdict(margin, (loads, golden, _not_made(GOLDEN_CASES, "the live model does not load"), dsc), ())
    drawn = _check_golden_cases(live_opened[1], opened[1], max(margin, _DRAWN_MARGIN))
    compared = _compare(cases, live_opened[1], opened[1], progress)
    known = _known(cases, {"this model": opened[0], "the live model": live_opened[0]})
    return ModelVerdict(margin, (loads, golden, drawn, _check_dsc(compared, margin, known)), compared)


def _check_loads(
    choice: ModelChoice, runtime: RuntimeChoice, threads: int | None
) -> tuple[ModelCheck, tuple[ModelBundle, Ensemble] | None]:
    expected = f"a whole bundle that runtime {runtime} compiles on this machine"
    try:
        bundle = choice.load()
        ensemble = open_ensemble(bundle, runtime, threads)
    except Exception as error:  # whatever a runtime raises: a model that crashes the worker must not pass
        words = str(error) if isinstance(error, SegmentationError) else describe_error(error)
        return ModelCheck(LOADS, CheckState.FAILED, expected, words), None
    came = f"{bundle.members} members, {ensemble.runtime} in {ensemble.precision}"
    return ModelCheck(LOADS, CheckState.PASSED, expected, came), (bundle, ensemble)


def _check_golden(bundle: ModelBundle, ensemble: Ensemble) -> ModelCheck:
    expected = "the predictions that the bundle holds"
    try:
        verdict = check_golden(bundle, ensemble)
    except SegmentationError as error:
        return ModelCheck(GOLDEN, CheckState.FAILED, expected, str(error))
    came = f"a difference of at most {verdict.max_difference:.4f}, and {verdict.flipped} pixels on the other side"
    return ModelCheck(GOLDEN, CheckState.PASSED if verdict.passed else CheckState.FAILED, expected, came)


def _check_golden_cases(live: Ensemble, candidate: Ensemble, margin: float) -> ModelCheck:
    head, lesions = draw_head(_DRAWN_SIZE), draw_lesions(_DRAWN_SIZE)
    least = dice(segment_volume(head, live).mask, lesions) - margin
    expected = f"a DSC of at least {max(least, 0.0):.3f} on the drawn head (live model - {margin:g})"
    try:
        found = dice(segment_volume(head, candidate).mask, lesions)
    except SegmentationError as error:
        return ModelCheck(GOLDEN_CASES, CheckState.FAILED, expected, str(error))
    state = CheckState.PASSED if found >= least - _ROUNDING else CheckState.FAILED
    return ModelCheck(GOLDEN_CASES, state, expected, f"{found:.3f}")


def _compare(
    cases: Sequence[Case], live: Ensemble, candidate: Ensemble, progress: StageProgress
) -> tuple[CheckedCase, ...]:
    total = 2 * len(cases)
    progress("compare", 0, total)
    compared = []
    for number, case in enumerate(cases):
        live_dsc = _dsc(case, live)
        progress("compare", 2 * number + 1, total)
        compared.append(CheckedCase(case.name, live_dsc, _dsc(case, candidate)))
        progress("compare", 2 * number + 2, total)
    return tuple(compared)


def _dsc(case: Case, ensemble: Ensemble) -> float:
    try:
        loaded = case.load()
        return dice(segment_volume(loaded.volume, ensemble).mask, loaded.wmh)
    except BadVolume as error:
        raise BadCase(f"{case.name}: {error}") from error


def _known(cases: Sequence[Case], bundles: Mapping[str, ModelBundle]) -> str:
    """Which of the models knows the patients: its DSC on them is too good, which speaks for it without reason."""
    # It reads case folders, with nibabel: the page and the worker need none of that.
    from training.evaluate.seen import TrainingPatients

    words = []
    for name, bundle in bundles.items():
        known = TrainingPatients.of(bundle)
        if known.patients is None:
            words.append(f"{name} does not say which patients it was trained on")
        elif seen := sum(known.saw_case(case) is True for case in cases):
            words.append(f"{name} was trained on the patients of {seen} of {len(cases)} cases")
    return f" ({'; '.join(words)}: such a DSC is too good)" if words else ""


def _check_dsc(compared: Sequence[CheckedCase], margin: float, known: str) -> ModelCheck:
    live = sum(case.live_dsc for case in compared) / len(compared)
    found = sum(case.dsc for case in compared) / len(compared)
    state = CheckState.PASSED if found >= live - margin - _ROUNDING else CheckState.FAILED
    expected = f"a mean over {len(compared)} cases of at least {live - margin:.3f} (live model {live:.3f} - {margin:g})"
    return ModelCheck(DSC, state, expected, f"{found:.3f}{known}")


def _not_made(name: str, why: str) -> ModelCheck:
    return ModelCheck(name, CheckState.NOT_MADE, "nothing", why)
