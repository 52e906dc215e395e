"""A model bundle by what a person calls it: folder, digest or name in the registry, or `shipped`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from dicom_node.cli.registry import open_registry
from dicom_node.node.errors import ConfigurationError
from segmentation.bundle import ModelBundle, load_bundle, reference_bundle

SHIPPED: Final = "shipped"


def load_named(named: str, config: Path | None) -> ModelBundle:
    """The bundle.

    Args:
        named: bundle folder, `shipped`, or digest or name of a registered one.
        config: the settings' file; the registry is where the settings say.

    Raises:
        BadBundle: it is damaged.
        ConfigurationError: a path where no folder is.
        UnknownModel: no folder and no registered model of that name.
    """
    if Path(named).is_dir():
        return load_bundle(Path(named))
    if os.sep in named:  # no registered name has one
        raise ConfigurationError(f"expected a model: found no bundle folder at {named}")
    if named == SHIPPED:
        return load_bundle(reference_bundle())

    with open_registry(config) as registry:
        return registry.store.load(registry.table.find(named).digest)
