"""A model bundle: a folder with the weights of every member and a manifest that names and checks them.

    manifest.json    schema, name, version, architecture, input contract, threshold, training, licence, file hashes
    graph.json       the network layer by layer, so that a runtime without Keras can build it
    member-1.npz ... weights of one member, `layer/variable` -> float16 kernels and float32 vectors, never pickled
    ventricles-graph.json, ventricles.npz
                     the one network that marks ventricles, in the same form; absent in a bundle that has none
    anatomy-graph.json, anatomy.npz
                     the one network that marks the parts of the head; absent in a bundle that has none
    golden.npz       a drawn head and the networks' predictions for it (`segmentation.golden`); absent in old bundles
    MODEL_CARD.md    what the model was trained on, what it scores, what it must not be used for

The bundle's digest is the sha256 of the canonical manifest; since the manifest holds the sha256 of each file, it stands
for every byte that decides a result.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from segmentation.anatomy import PARTS
from segmentation.errors import BadBundle
from segmentation.golden import GOLDEN_NAME, Golden, make_golden, pack_golden, parse_golden
from segmentation.graph import NetworkGraph, Weights
from segmentation.manifest import (
    INTENDED_USE,
    SCHEMA,
    AnatomyArchitecture,
    Architecture,
    Definition,
    FileEntry,
    GoldenContract,
    InputContract,
    Manifest,
    Training,
    VentricleArchitecture,
)
from segmentation.networks.network_set import NetworkSet
from segmentation.networks.rebuild import specification_of
from segmentation.networks.specification import NetworkSpecification
from segmentation.npz import MAX_BYTES
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.untrusted import printable, read_plain_file
from segmentation.weights import pack_weights, parse_weights

MANIFEST_NAME: Final = "manifest.json"
GRAPH_NAME: Final = "graph.json"
CARD_NAME: Final = "MODEL_CARD.md"
VENTRICLES_GRAPH_NAME: Final = "ventricles-graph.json"
VENTRICLES_NAME: Final = "ventricles.npz"
VENTRICLE_THRESHOLD: Final = 0.5
ANATOMY_GRAPH_NAME: Final = "anatomy-graph.json"
ANATOMY_NAME: Final = "anatomy.npz"

# The manifest may list the patients of a large cohort.
_MAX_MANIFEST_BYTES: Final = 4 * 2**20
# Five networks of four times the paper's width; everything is held in memory while it is checked.
_MAX_BUNDLE_BYTES: Final = 2**30


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a result: its name, its version, and the sha256 that stands for every byte of it."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True, eq=False)
class VentricleNetwork:
    """The network that marks the ventricles.

    Attributes:
        networks: it alone.
        threshold: probability at or above which a voxel is ventricle.
        is_mirrored: it also sees mirror images, see `segmentation.mirroring`.
    """

    networks: NetworkSet
    threshold: float
    is_mirrored: bool = False


@dataclass(frozen=True)
class ModelBundle:
    """A bundle whose every file was checked against the manifest.

    Attributes:
        identity: name, version and digest.
        manifest: the manifest as read.
        graph: the network of each member, layer by layer.
        weights: per member, `layer/variable` -> float32 array.
        ventricles: the ventricle network; None in a bundle without.
        golden: the networks' predictions for a drawn head; None in a bundle without.
        anatomy: the network that marks the parts of the head, alone; None in a bundle without.
    """

    identity: ModelIdentity
    manifest: Manifest
    graph: NetworkGraph
    weights: tuple[Weights, ...]
    ventricles: VentricleNetwork | None = None
    golden: Golden | None = None
    anatomy: NetworkSet | None = None

    def __post_init__(self) -> None:
        """Check that network and input contract have the same image size."""
        _ = self.networks, self.preprocessing

    @property
    def networks(self) -> NetworkSet:
        """The members, for a runtime to compile."""
        return NetworkSet(self.specification, self.graph, self.weights)

    @property
    def members(self) -> int:
        """Number of networks whose probabilities are averaged."""
        return len(self.weights)

    @property
    def specification(self) -> NetworkSpecification:
        """The network that Keras builds for this bundle."""
        return _specification(self.manifest.architecture, self.manifest.input.size)

    @property
    def preprocessing(self) -> PreprocessingSettings:
        """How a case must be prepared for this bundle."""
        return self.manifest.input.settings

    @property
    def threshold(self) -> float:
        """Mean probability at or above which a voxel is WMH."""
        return self.manifest.threshold

    def members_that_never_saw(self, patient: str) -> tuple[int, ...] | None:
        """Members (from 0) whose training did not include this patient: they may be scored on this patient.

        Args:
            patient: by the name in the data source.

        Returns:
            Every member for a patient who took no part; None when the manifest does not say.
        """
        training = self.manifest.training
        if training.patients is None:
            return None
        if patient not in training.patients:
            return tuple(range(self.members))
        if training.held_out is None:
            return None
        return tuple(member for member, names in enumerate(training.held_out) if patient in names)


def reference_bundle() -> Path:
    """Folder of the bundle that is shipped with the package."""
    return Path(str(resources.files("segmentation") / "reference"))


def load_bundle(path: Path) -> ModelBundle:
    """Read and check a bundle: schema, file names, sizes, sha256, and every weight's name, shape and value.

    Raises:
        BadBundle: with what was expected, what was found and what to do.
    """
    try:
        return _load(path)
    except BadBundle as error:
        # It may quote the bundle's text, and is printed to terminals.
        raise BadBundle(printable(str(error))) from error


def _load(path: Path) -> ModelBundle:
    manifest = _parse_manifest(read_plain_file(path / MANIFEST_NAME, _MAX_MANIFEST_BYTES))
    total = sum(entry.size_bytes for entry in manifest.files.values())
    if total > _MAX_BUNDLE_BYTES:
        raise BadBundle(f"expected a bundle of at most {_MAX_BUNDLE_BYTES} bytes, got {total}")
    files = {name: _read_checked(path, name, entry) for name, entry in manifest.files.items()}
    graph = NetworkGraph.from_json(files[GRAPH_NAME])
    names = [member_name(index) for index in range(manifest.architecture.members)]
    return ModelBundle(
        identity=ModelIdentity(manifest.name, manifest.version, digest_of(manifest)),
        manifest=manifest,
        graph=graph,
        weights=tuple(parse_weights(name, files[name], graph) for name in names),
        ventricles=_parse_ventricles(manifest, files),
        golden=_parse_golden(manifest, files),
        anatomy=_parse_anatomy(manifest, files),
    )


def write_bundle(
    folder: Path,
    models: Sequence[Any],
    *,
    name: str,
    version: str,
    specification: NetworkSpecification,
    preprocessing: PreprocessingSettings,
    training: Training,
    licence: str,
    model_card: str,
    threshold: float = 0.5,
    ventricles: Any | None = None,
    ventricle_threshold: float = VENTRICLE_THRESHOLD,
    mirrors_ventricles: bool = False,
    temperature: float | None = None,
    shift: float | None = None,
    anatomy: Any | None = None,
    review_above: float | None = None,
    definition: Definition | None = None,
) -> ModelBundle:
    """Write Keras models as a bundle, and read it back as any user of it will.

    Args:
        folder: where to write; made if missing.
        models: one Keras model per member, built by `segmentation.networks.unet.build_network(specification)`.
        name: model name, lower-case slug.
        version: model version, `major.minor.patch`.
        specification: the network that all members share.
        preprocessing: the input contract.
        training: what it was trained with and on.
        licence: licence of the weights.
        model_card: text of MODEL_CARD.md.
        threshold: mean probability at or above which a voxel is WMH.
        ventricles: Keras model that marks ventricles, built by `build_network` too, of any width; same input contract.
        ventricle_threshold: probability at or above which a voxel is ventricle.
        mirrors_ventricles: the ventricle network also sees mirror images, see `segmentation.mirroring`.
        temperature: what the logits were divided by, already folded into the last layer's weights; recorded, not
            applied.
        shift: what was taken off the logits before that; recorded too.
        anatomy: Keras model of the parts of the head, built by `build_network` with `len(PARTS)` outputs.
        review_above: the uncertainty index above which results want a review
            (`training.bundle.review_limit`); None: the paper's.
        definition: what the model calls WMH; None: not stated.

    Golden predictions are computed from the weights as they are written, and stored with them.

    Raises:
        BadBundle: members differ, are not of the specification, or a weight does not fit its number format.
    """
    if not models:
        raise BadBundle("expected at least one member, got none")
    graphs = [NetworkGraph.from_keras(model) for model in models]
    if any(graph != graphs[0] for graph in graphs):
        raise BadBundle(
            "expected members of one architecture, got different ones: write one bundle for each architecture"
        )
    files = {GRAPH_NAME: graphs[0].to_json(), CARD_NAME: model_card.encode()}
    for index, model in enumerate(models):
        files[member_name(index)] = pack_weights(graphs[0], graphs[0].weights_of(model))
    members = NetworkSet(
        specification,
        graphs[0],
        tuple(parse_weights(member_name(i), files[member_name(i)], graphs[0]) for i in range(len(models))),
    )
    marker = None
    if ventricles is not None:
        packed = _pack_ventricles(ventricles, specification.size, files)
        marker = VentricleNetwork(packed, ventricle_threshold, mirrors_ventricles)
    parts = None if anatomy is None else _pack_anatomy(anatomy, files)
    ventricle_set = None if marker is None else marker.networks
    golden = make_golden(preprocessing, members, ventricle_set, mirrors_ventricles, parts)
    files[GOLDEN_NAME] = pack_golden(golden)
    manifest = Manifest(
        schema_version=SCHEMA,
        name=name,
        version=version,
        architecture=Architecture(**_architecture(specification), members=len(models)),
        input=InputContract.of(preprocessing),
        threshold=threshold,
        training=training,
        licence=licence,
        intended_use=INTENDED_USE,
        files={
            file: FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
            for file, content in sorted(files.items())
        },
        ventricles=None if marker is None else _ventricle_architecture(marker),
        anatomy=None if parts is None else _anatomy_architecture(parts.specification),
        golden=GoldenContract(slices=len(golden.images)),
        temperature=temperature,
        shift=shift,
        review_above=review_above,
        definition=definition,
    )
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    text = json.dumps(manifest.document(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return load_bundle(folder)


def digest_of(manifest: Manifest) -> str:
    """sha256 of the manifest in canonical form: sorted keys, no white space, UTF-8, absent fields left out."""
    canonical = json.dumps(manifest.document(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def member_name(index: int) -> str:
    """File name of the weights of member `index` (from 0)."""
    return f"member-{index + 1}.npz"


def _specification(architecture: Architecture | VentricleArchitecture, size: int) -> NetworkSpecification:
    return NetworkSpecification(
        squeeze_excitation=architecture.network == "se-unet",
        variant=architecture.variant,
        width=architecture.width,
        size=size,
    )


def _architecture(specification: NetworkSpecification) -> dict[str, Any]:
    return {
        "network": "se-unet" if specification.squeeze_excitation else "unet",
        "variant": specification.variant,
        "width": specification.width,
    }


def _ventricle_architecture(marker: VentricleNetwork) -> VentricleArchitecture:
    architecture = _architecture(marker.networks.specification)
    return VentricleArchitecture(**architecture, threshold=marker.threshold, mirrored=marker.is_mirrored or None)


def _pack_ventricles(model: Any, size: int, files: dict[str, bytes]) -> NetworkSet:
    """Add the ventricle network's files; returns it with its weights as they are written."""
    specification = specification_of(model)
    if specification.size != size:
        raise BadBundle(f"expected a ventricle network for images of {size} pixels, got {specification.size}")
    graph = NetworkGraph.from_keras(model)
    files[VENTRICLES_GRAPH_NAME] = graph.to_json()
    files[VENTRICLES_NAME] = pack_weights(graph, graph.weights_of(model))
    return NetworkSet(specification, graph, (parse_weights(VENTRICLES_NAME, files[VENTRICLES_NAME], graph),))


def _parse_ventricles(manifest: Manifest, files: dict[str, bytes]) -> VentricleNetwork | None:
    if manifest.ventricles is None:
        return None
    graph = NetworkGraph.from_json(files[VENTRICLES_GRAPH_NAME])
    weights = parse_weights(VENTRICLES_NAME, files[VENTRICLES_NAME], graph)
    specification = _specification(manifest.ventricles, manifest.input.size)
    networks = NetworkSet(specification, graph, (weights,))
    return VentricleNetwork(networks, manifest.ventricles.threshold, manifest.ventricles.mirrored is True)


def _anatomy_architecture(specification: NetworkSpecification) -> AnatomyArchitecture:
    return AnatomyArchitecture(**_architecture(specification), size=specification.size, parts=PARTS)


def _pack_anatomy(model: Any, files: dict[str, bytes]) -> NetworkSet:
    """Add the anatomy network's files; returns it with its weights as they are written."""
    specification = specification_of(model)
    if specification.outputs != len(PARTS):
        raise BadBundle(f"expected an anatomy network of {len(PARTS)} outputs, got {specification.outputs}")
    graph = NetworkGraph.from_keras(model)
    files[ANATOMY_GRAPH_NAME] = graph.to_json()
    files[ANATOMY_NAME] = pack_weights(graph, graph.weights_of(model))
    return NetworkSet(specification, graph, (parse_weights(ANATOMY_NAME, files[ANATOMY_NAME], graph),))


def _parse_anatomy(manifest: Manifest, files: dict[str, bytes]) -> NetworkSet | None:
    found = manifest.anatomy
    if found is None:
        return None
    graph = NetworkGraph.from_json(files[ANATOMY_GRAPH_NAME])
    weights = parse_weights(ANATOMY_NAME, files[ANATOMY_NAME], graph)
    specification = NetworkSpecification(
        squeeze_excitation=found.network == "se-unet",
        variant=found.variant,
        width=found.width,
        size=found.size,
        outputs=len(found.parts),
    )
    return NetworkSet(specification, graph, (weights,))


def _parse_golden(manifest: Manifest, files: dict[str, bytes]) -> Golden | None:
    if manifest.golden is None:
        return None
    return parse_golden(
        files[GOLDEN_NAME],
        manifest.golden.slices,
        manifest.input.size,
        ventricles=manifest.ventricles is not None,
        anatomy_size=None if manifest.anatomy is None else manifest.anatomy.size,
    )


def _parse_manifest(content: bytes) -> Manifest:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # the latter: nested deeper than any manifest
        raise BadBundle(f"{MANIFEST_NAME} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadBundle(f"expected {MANIFEST_NAME} to hold an object, got {type(document).__name__}")
    found = document.get("schema_version")
    if found != SCHEMA:
        shown = reprlib.repr(found)  # it may be anything, of any size
        raise BadBundle(f"expected bundle schema {SCHEMA}, got {shown}: use the wmh-node version that wrote it")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "top level"
        raise BadBundle(f"{MANIFEST_NAME}, {where}: {first['msg']}") from error
    needed = {GRAPH_NAME, CARD_NAME, *(member_name(index) for index in range(manifest.architecture.members))}
    if manifest.ventricles is not None:
        needed |= {VENTRICLES_GRAPH_NAME, VENTRICLES_NAME}
    if manifest.anatomy is not None:
        needed |= {ANATOMY_GRAPH_NAME, ANATOMY_NAME}
    if manifest.golden is not None:
        needed.add(GOLDEN_NAME)
    if missing := needed - manifest.files.keys():
        raise BadBundle(f"{MANIFEST_NAME} lists no {', '.join(sorted(missing))}")
    return manifest


def _read_checked(folder: Path, name: str, entry: FileEntry) -> bytes:
    # The manifest's schema allows plain file names only; a link could still lead out of the folder.
    # Not Path.resolve(), which raises RuntimeError for a link to itself.
    if Path(os.path.realpath(folder / name)).parent != folder.resolve():
        raise BadBundle(f"{name} leads out of the bundle's folder")
    content = read_plain_file(folder / name, MAX_BYTES)
    if len(content) != entry.size_bytes:
        raise BadBundle(f"{name}: expected {entry.size_bytes} bytes, got {len(content)}: copy the bundle again")
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise BadBundle(
            f"{name}: expected sha256 {entry.sha256}, got {found}: the file was changed after it was written"
        )
    return content
