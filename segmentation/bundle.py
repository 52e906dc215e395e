"""A model bundle: a folder with the weights of every member and a manifest that names and checks them.

    manifest.json    schema, name, version, architecture, input contract, threshold, training, licence, file hashes
    graph.json       the network layer by layer, so that a runtime without Keras can build it
    member-1.npz ... weights of one member, `layer/variable` -> float16 kernels and float32 vectors, never pickled
    MODEL_CARD.md    what the model was trained on, what it scores, what it must not be used for

The bundle's digest is the sha256 of the canonical manifest; since the manifest holds the sha256 of each file, it stands
for every byte that decides a result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from segmentation.errors import BadBundle
from segmentation.graph import NetworkGraph, Weights
from segmentation.manifest import INTENDED_USE, SCHEMA, Architecture, FileEntry, InputContract, Manifest, Training
from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.weights import MAX_BYTES, pack_weights, parse_weights

MANIFEST_NAME: Final = "manifest.json"
GRAPH_NAME: Final = "graph.json"
CARD_NAME: Final = "MODEL_CARD.md"

_MAX_MANIFEST_BYTES: Final = 2**20


@dataclass(frozen=True)
class ModelIdentity:
    """Which model made a result: its name, its version, and the sha256 that stands for every byte of it."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class ModelBundle:
    """A bundle whose every file was checked against the manifest.

    Attributes:
        identity: name, version and digest.
        manifest: the manifest as read.
        graph: the network of each member, layer by layer.
        weights: per member, `layer/variable` -> float32 array.
    """

    identity: ModelIdentity
    manifest: Manifest
    graph: NetworkGraph
    weights: tuple[Weights, ...]

    def __post_init__(self) -> None:
        """Check that network and input contract speak of the same images."""
        size = self.specification.size
        if self.graph.nodes[0].shape != (size, size, 1):
            raise BadBundle(f"expected a network for images of ({size}, {size}, 1), got {self.graph.nodes[0].shape}")
        _ = self.preprocessing

    @property
    def members(self) -> int:
        """Number of networks whose probabilities are averaged."""
        return len(self.weights)

    @property
    def specification(self) -> NetworkSpecification:
        """The network that Keras builds for this bundle."""
        architecture = self.manifest.architecture
        return NetworkSpecification(
            squeeze_excitation=architecture.network == "se-unet",
            variant=architecture.variant,
            width=architecture.width,
            size=self.manifest.input.size,
        )

    @property
    def preprocessing(self) -> PreprocessingSettings:
        """How a case must be prepared for this bundle."""
        return PreprocessingSettings(**self.manifest.input.model_dump())

    @property
    def threshold(self) -> float:
        """Mean probability at or above which a voxel is WMH."""
        return self.manifest.threshold


def reference_bundle() -> Path:
    """Folder of the bundle that is shipped with the package."""
    return Path(str(resources.files("segmentation") / "reference"))


def load_bundle(path: Path) -> ModelBundle:
    """Read and check a bundle: schema, file names, sizes, sha256, and every weight's name, shape and value.

    Raises:
        BadBundle: with what was expected, what came and what to do.
    """
    content = _read_limited(path / MANIFEST_NAME, _MAX_MANIFEST_BYTES)
    manifest = _parse_manifest(content)
    files = {name: _read_checked(path, name, entry) for name, entry in manifest.files.items()}
    graph = NetworkGraph.from_json(files[GRAPH_NAME])
    names = [member_name(index) for index in range(manifest.architecture.members)]
    weights = tuple(parse_weights(name, files[name], graph) for name in names)
    identity = ModelIdentity(manifest.name, manifest.version, digest_of(manifest))
    return ModelBundle(identity, manifest, graph, weights)


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

    Raises:
        BadBundle: members differ, or a weight does not fit its number format.
    """
    if not models:
        raise BadBundle("expected at least one member, got none")
    graphs = [NetworkGraph.from_keras(model) for model in models]
    if any(graph != graphs[0] for graph in graphs):
        raise BadBundle("expected members of one architecture, got different ones: write one bundle for each")
    files = {GRAPH_NAME: graphs[0].to_json(), CARD_NAME: model_card.encode()}
    for index, model in enumerate(models):
        files[member_name(index)] = pack_weights(graphs[0], graphs[0].weights_of(model))
    manifest = Manifest(
        schema_version=SCHEMA,
        name=name,
        version=version,
        architecture=Architecture(
            network="se-unet" if specification.squeeze_excitation else "unet",
            variant=specification.variant,
            width=specification.width,
            members=len(models),
        ),
        input=InputContract(**asdict(preprocessing)),
        threshold=threshold,
        training=training,
        licence=licence,
        intended_use=INTENDED_USE,
        files={
            file: FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
            for file, content in sorted(files.items())
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return load_bundle(folder)


def digest_of(manifest: Manifest) -> str:
    """sha256 of the manifest in canonical form: sorted keys, no white space, UTF-8."""
    canonical = json.dumps(manifest.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def member_name(index: int) -> str:
    """File name of the weights of member `index` (from 0)."""
    return f"member-{index + 1}.npz"


def _parse_manifest(content: bytes) -> Manifest:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise BadBundle(f"{MANIFEST_NAME} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadBundle(f"expected {MANIFEST_NAME} to hold an object, got {type(document).__name__}")
    found = document.get("schema_version")
    if found != SCHEMA:
        raise BadBundle(f"expected bundle schema {SCHEMA}, got {found!r}: use the wmh-node version that wrote it")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "top level"
        raise BadBundle(f"{MANIFEST_NAME}, {where}: {first['msg']}") from error
    needed = {GRAPH_NAME, CARD_NAME, *(member_name(index) for index in range(manifest.architecture.members))}
    if missing := needed - manifest.files.keys():
        raise BadBundle(f"{MANIFEST_NAME} lists no {', '.join(sorted(missing))}")
    return manifest


def _read_limited(path: Path, limit: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > limit:
            raise BadBundle(f"expected {path.name} of at most {limit} bytes, got {size}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadBundle(f"{path.name} is missing in bundle folder {path.parent.name}") from error
    except OSError as error:
        raise BadBundle(f"{path.name} cannot be read: {error.strerror}") from error


def _read_checked(folder: Path, name: str, entry: FileEntry) -> bytes:
    # The manifest's schema allows plain file names only; a link could still lead out of the folder.
    if (folder / name).resolve().parent != folder.resolve():
        raise BadBundle(f"{name} leads out of the bundle's folder")
    content = _read_limited(folder / name, MAX_BYTES)
    if len(content) != entry.size_bytes:
        raise BadBundle(f"{name}: expected {entry.size_bytes} bytes, got {len(content)}: copy the bundle again")
    found = hashlib.sha256(content).hexdigest()
    if found != entry.sha256:
        raise BadBundle(
            f"{name}: expected sha256 {entry.sha256}, got {found}: the file was changed after it was written"
        )
    return content
