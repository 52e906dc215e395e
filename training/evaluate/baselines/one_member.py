"""One network of a bundle alone: what the other members buy."""

from __future__ import annotations

from dataclasses import replace

from segmentation.bundle import ModelBundle, ModelIdentity, digest_of, member_name
from segmentation.golden import GOLDEN_NAME


def with_members(bundle: ModelBundle, members: tuple[int, ...] = (0,)) -> ModelBundle:
    """The bundle as if it had been written with these members only, without touching a file.

    Args:
        bundle: from `segmentation.bundle.load_bundle`.
        members: which, from 0; in this order.

    Returns:
        A bundle whose digest is that of its own manifest, so that no result of it passes for the whole ensemble's. It
        has no golden predictions: those are the ensemble's.

    Raises:
        ValueError: no member, or one that the bundle does not have.
    """
    if not members or not all(0 <= member < bundle.members for member in members):
        raise ValueError(f"expected members between 0 and {bundle.members - 1}, got {members}")
    manifest = bundle.manifest
    gone = {GOLDEN_NAME, *(member_name(index) for index in range(bundle.members))}
    files = {name: entry for name, entry in manifest.files.items() if name not in gone}
    files |= {member_name(place): manifest.files[member_name(member)] for place, member in enumerate(members)}
    held_out = manifest.training.held_out
    changed = manifest.model_copy(
        update={
            "architecture": manifest.architecture.model_copy(update={"members": len(members)}),
            "training": manifest.training.model_copy(
                update={"held_out": None if held_out is None else tuple(held_out[member] for member in members)}
            ),
            "golden": None,
            "files": files,
        }
    )
    return replace(
        bundle,
        identity=ModelIdentity(bundle.identity.name, bundle.identity.version, digest_of(changed)),
        manifest=changed,
        weights=tuple(bundle.weights[member] for member in members),
        golden=None,
    )
