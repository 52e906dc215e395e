"""The network of a model in words, and which of the paper's two networks these words name.

Documents hold the words only, so that old ones can be read back too.
"""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from segmentation.bundle import ModelBundle

Network = Literal["unet", "se-unet"]

UNET: Final[Network] = "unet"
SE_UNET: Final[Network] = "se-unet"

_WORDS: Final = re.compile(r"\d+ x (unet|se-unet),")


def describe(bundle: ModelBundle) -> str:
    """Network and recipe in words: `5 x se-unet, published, width 0.5, recipe reference`."""
    made, recipe = bundle.manifest.architecture, bundle.manifest.training.recipe
    return f"{made.members} x {made.network}, {made.variant}, width {made.width:g}, recipe {recipe}"


def network_of(architecture: str) -> Network | None:
    """The network that `describe` named; None for a method without one."""
    found = _WORDS.match(architecture)
    return cast(Network, found[1]) if found else None
