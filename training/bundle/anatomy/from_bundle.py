"""Take the anatomy network out of a bundle, for the next one: `python -m training.bundle.anatomy.from_bundle`.

What it writes is what `training.bundle.anatomy.fit` ends with: score it with `training.bundle.anatomy.score`, and hand
the folder to `wmh-node train --anatomy`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segmentation.bundle import load_bundle, reference_bundle
from training.bundle.anatomy.fit import WEIGHTS_NAME
from training.errors import OtherRun


def main(
    out: Annotated[Path, typer.Option(help="folder for the weights")],
    bundle: Annotated[Path | None, typer.Option(help="bundle folder; default: the shipped reference")] = None,
) -> None:
    """Write the weights as Keras reads them."""
    from segmentation.networks.rebuild import keras_network  # Keras, which takes seconds

    found = load_bundle(bundle or reference_bundle())
    if found.anatomy is None:
        raise OtherRun(f"--bundle: expected a bundle with an anatomy network, got {found.identity.name} without one")
    out.mkdir(parents=True, exist_ok=True)
    networks = found.anatomy
    keras_network(networks.specification, networks.graph, networks.weights[0]).save_weights(out / WEIGHTS_NAME)


if __name__ == "__main__":
    typer.run(main)
