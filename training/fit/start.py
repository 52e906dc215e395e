"""What a training goes on from in place of random weights: another run, or a bundle, member by member."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from segmentation.bundle import MANIFEST_NAME, load_bundle
from segmentation.errors import SegmentationError
from segmentation.networks.specification import NetworkSpecification
from training.data.presets import PRETRAINING, Recipe
from training.data.recipe_settings import recipe_of
from training.errors import BadRecipe, OtherRun

Weights = list[NDArray[Any]]

MOST_MEMBERS: Final = 64  # segmentation.manifest


@dataclass(frozen=True)
class Start:
    """Members that are trained already.

    Attributes:
        name: of the folder, for messages.
        recipe: name of the preset that they were trained by.
        network: what they are.
        seen: per member (from 0), the patients that it was trained on.
        digest: of what decides the weights.
        weights: a member's weights in its network's order, for any Keras backend.
    """

    name: str
    recipe: str
    network: NetworkSpecification
    seen: tuple[frozenset[str], ...]
    digest: str
    weights: Callable[[int], Weights]

    def refuse_other(self, recipe: Recipe) -> None:
        """Make sure that a recipe goes on from these members.

        Raises:
            OtherRun: it goes on from another preset, or with another network.
        """
        if self.recipe != recipe.start_from:
            expected = f"a training by {recipe.start_from}, which {recipe.name} goes on from"
            if recipe.start_from is None:
                expected = f"no --start, because {recipe.name} begins with random weights"
            raise OtherRun(f"--start: expected {expected}; got {self.name}/, trained by {self.recipe}")
        if self.network != recipe.network:
            raise OtherRun(f"--start: expected members of the network {recipe.network}, got {self.network}")

    def refuse_seen(self, member: int, held_out: frozenset[str]) -> None:
        """Make sure that a member has not seen the patients that it will be scored on.

        Raises:
            OtherRun: it has, or there is no such member.
        """
        if member >= len(self.seen):
            raise OtherRun(f"--start: expected at least {member + 1} members, got {len(self.seen)} in {self.name}/")
        if known := sorted(self.seen[member] & held_out):
            raise OtherRun(
                f"--start: member {member} of {self.name}/ was trained on {len(known)} patients that are now held "
                f"out, {known[0]} among them: use the same patients.csv, --scheme and --seed as that training"
            )


def read_start(path: Path) -> Start:
    """The members of a `wmh-node train` run, of a bundle that states its patients, or the one pretrained network.

    Raises:
        OtherRun: none of them, or the bundle does not state which patients each member saw.
    """
    try:
        if path.suffix == ".npz":
            return _of_pretraining(path)
        return _of_bundle(path) if (path / MANIFEST_NAME).exists() else _of_run(path)
    except (OSError, ValueError, KeyError, TypeError, SegmentationError, BadRecipe) as error:
        raise OtherRun(
            f"--start: expected the --out folder of a training, a bundle, or an npz of the pretraining, got {path.name}"
        ) from error


def _of_run(run: Path) -> Start:
    document = json.loads((run / "run.json").read_text(encoding="utf-8"))
    recipe = recipe_of(document["recipe"])

    def weights(member: int) -> Weights:
        from training.fit.trained_network import load_network

        file = run / f"member-{member}" / recipe.result_file
        if not file.exists():
            raise OtherRun(f"--start: member {member} of {run.name}/ is not finished; run its command again first")
        return list(load_network(recipe, file).get_weights())

    return Start(
        name=run.name,
        recipe=recipe.name,
        network=recipe.network,
        seen=tuple(frozenset([*member["seen"], *member.get("seen_before", ())]) for member in document["members"]),
        digest=hashlib.sha256(json.dumps(document["inputs"], sort_keys=True).encode()).hexdigest(),
        weights=weights,
    )


def _of_pretraining(file: Path) -> Start:
    """One network for every member; it saw drawn scans alone, and so no patient."""
    # A program of its own, with the drawing of scans: few trainings begin from its export.
    from training.fit.pretraining import SPECIFICATION, exported_weights

    weights = exported_weights(file)
    return Start(
        name=file.name,
        recipe=PRETRAINING,
        network=SPECIFICATION,
        seen=(frozenset(),) * MOST_MEMBERS,
        digest=hashlib.sha256(file.read_bytes()).hexdigest(),
        weights=lambda member: weights,
    )


def _of_bundle(folder: Path) -> Start:
    bundle = load_bundle(folder)
    training = bundle.manifest.training
    if training.patients is None or training.held_out is None:
        raise OtherRun(
            f"--start: expected a bundle that states which patients each member saw, got {bundle.identity.name}"
        )

    def weights(member: int) -> Weights:
        from segmentation.networks.rebuild import keras_network

        model = keras_network(bundle.specification, bundle.graph, bundle.weights[member])
        return list(model.get_weights())

    return Start(
        name=folder.name,
        recipe=training.recipe,
        network=bundle.specification,
        seen=tuple(frozenset(training.patients) - frozenset(names) for names in training.held_out),
        digest=bundle.identity.digest,
        weights=weights,
    )
