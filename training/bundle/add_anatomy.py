"""Give a bundle an anatomy network: `python -m training.bundle.add_anatomy`. Its members stay, to the bit.

The review limit and the interval were measured with another brain mask: `make doubt` measures them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from segmentation.bundle import CARD_NAME, VENTRICLE_THRESHOLD, ModelBundle, load_bundle, write_bundle
from training.bundle.anatomy.score import network
from training.bundle.model_card import ANATOMY_HEADING, anatomy_section
from training.bundle.parts import read_anatomy
from training.bundle.restate import with_entries, with_section
from training.errors import OtherRun
from training.files import replacing


def add_anatomy(folder: Path, run: Path, version: str) -> ModelBundle:
    """Write the bundle in `folder` again with the anatomy network of a run, as another version.

    Args:
        folder: of the bundle; replaced whole or not at all.
        run: folder of `training.bundle.anatomy.fit` with the scores.json of `training.bundle.anatomy.score`.
        version: the new one.

    Raises:
        BadBundle: there is no sound bundle.
        OtherRun: the run is not finished or not scored, or a member would change.
    """
    found, old = read_anatomy(run), load_bundle(folder)
    manifest = old.manifest
    card = (folder / CARD_NAME).read_text(encoding="utf-8").replace(f" {manifest.version}\n", f" {version}\n", 1)
    section = anatomy_section(found.scores, lists_patients=manifest.training.patients is not None)
    with replacing(folder) as unfinished:
        write_bundle(
            unfinished,
            _members(old),
            name=manifest.name,
            version=version,
            specification=old.specification,
            preprocessing=old.preprocessing,
            training=manifest.training,
            licence=manifest.licence,
            model_card=with_section(card, ANATOMY_HEADING, section.removeprefix(ANATOMY_HEADING)),
            threshold=manifest.threshold,
            ventricles=_ventricles(old),
            ventricle_threshold=VENTRICLE_THRESHOLD if old.ventricles is None else old.ventricles.threshold,
            mirrors_ventricles=old.ventricles is not None and old.ventricles.is_mirrored,
            temperature=manifest.temperature,
            shift=manifest.shift,
            anatomy=network(found.weights),
            review_above=manifest.review_above,
            definition=manifest.definition,
        )
        # The card's sections about them stay too.
        new = with_entries(unfinished, {"predictive": manifest.predictive, "intensities": manifest.intensities})
        _refuse_other_members(manifest, new)
    return load_bundle(folder)


def _members(bundle: ModelBundle) -> list[Any]:
    # Keras takes seconds to import; what is wrong with the files is said before.
    from segmentation.networks.rebuild import keras_network

    return [keras_network(bundle.specification, bundle.graph, weights) for weights in bundle.weights]


def _ventricles(bundle: ModelBundle) -> Any | None:
    from segmentation.networks.rebuild import keras_network

    if bundle.ventricles is None:
        return None
    networks = bundle.ventricles.networks
    return keras_network(networks.specification, networks.graph, networks.weights[0])


def _refuse_other_members(before: Any, after: ModelBundle) -> None:
    kept = [name for name in before.files if name.endswith(".npz") and name.startswith(("member-", "ventricles"))]
    changed = [name for name in kept if before.files[name].sha256 != after.manifest.files[name].sha256]
    if changed:
        raise OtherRun(f"expected weights that stay to the bit, but {', '.join(changed)} would change")


def main(
    bundle: Annotated[Path, typer.Option(help="folder of the bundle")],
    run: Annotated[Path, typer.Option(help="the `--out` folder of training.bundle.anatomy.fit, scored")],
    version: Annotated[str, typer.Option(help="the new version")],
) -> None:
    """Write the bundle again with the run's anatomy network."""
    written = add_anatomy(bundle, run, version)
    typer.echo(f"{written.identity.name} {written.identity.version} {written.identity.digest}")


if __name__ == "__main__":
    typer.run(main)
