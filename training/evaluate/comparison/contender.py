"""Who is compared: a bundle, or a baseline behind the same seam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from segmentation.bundle import ModelBundle
from segmentation.ensemble import Ensemble, open_ensemble
from segmentation.runtimes.choose import RuntimeChoice
from training.evaluate.architecture import describe
from training.evaluate.baselines.one_member import with_members
from training.evaluate.baselines.threshold import ThresholdMethod
from training.evaluate.run import EvaluationRequest
from training.evaluate.seen import TrainingPatients

ONE_MEMBER: Final = "one-member"
THRESHOLD: Final = "threshold"
BASELINES: Final = (THRESHOLD, ONE_MEMBER)
_NO_PATIENTS: Final = TrainingPatients(frozenset())


@dataclass(frozen=True)
class Candidate:
    """A contender before it is scored.

    Attributes:
        label: what it is, in words.
        architecture: its network, in words.
        digest: of its model: a contender of an earlier comparison with the same one is not listed again.
        open: compiles it; called when its turn comes, so that one network at a time is in memory.
        known: the patients it was trained on.
        baseline: a simpler method set beside the models.
    """

    label: str
    architecture: str
    digest: str
    open: Callable[[], Ensemble]
    known: TrainingPatients = field(default_factory=TrainingPatients)
    baseline: bool = False

    def request(self, *, unseen_members: bool) -> EvaluationRequest:
        """How it is to be evaluated. A rule that was never trained has seen no patient."""
        return EvaluationRequest(known=self.known, architecture=self.architecture, unseen_members=unseen_members)


def bundle_candidate(bundle: ModelBundle, runtime: RuntimeChoice = "auto", threads: int | None = None) -> Candidate:
    """A whole bundle, on so many CPU threads; None: all."""
    return Candidate(
        _name(bundle),
        describe(bundle),
        bundle.identity.digest,
        lambda: open_ensemble(bundle, runtime, threads),
        TrainingPatients.of(bundle),
    )


def baseline_candidate(
    name: str, bundle: ModelBundle, runtime: RuntimeChoice = "auto", threads: int | None = None
) -> Candidate:
    """A baseline.

    Args:
        name: one of `BASELINES`.
        bundle: whose first member `one-member` is, and whose preprocessing `threshold` uses.
        runtime, threads: for `one-member`.

    Raises:
        ValueError: an unknown name.
    """
    if name == ONE_MEMBER:
        one = with_members(bundle)
        label = f"one member of {_name(bundle)}"
        seen = TrainingPatients.of(one)
        return Candidate(
            label, describe(one), one.identity.digest, lambda: open_ensemble(one, runtime, threads), seen, True
        )
    if name == THRESHOLD:
        rule = "3.5 robust SD above the slice's mode"
        method = ThresholdMethod(bundle.preprocessing)  # holds no network
        return Candidate("plain threshold", rule, method.identity.digest, lambda: method, _NO_PATIENTS, True)
    raise ValueError(f"expected a baseline {' or '.join(BASELINES)}, got {name!r}")


def _name(bundle: ModelBundle) -> str:
    identity = bundle.identity
    return f"{identity.name} {identity.version} ({identity.digest[:8]})"
