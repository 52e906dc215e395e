from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import tiny_bundle, tiny_model

from segmentation.bundle import GRAPH_NAME, MANIFEST_NAME, digest_of, load_bundle, write_bundle
from segmentation.errors import BadBundle
from segmentation.manifest import INTENDED_USE, Training
from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings


def change_manifest(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = bundle / MANIFEST_NAME
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def replace_file(bundle: Path, name: str, content: bytes) -> None:
    """Change a file and make the manifest agree, as an attacker or a careless tool would."""
    (bundle / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    change_manifest(bundle, lambda m: m["files"].update({name: entry}))


def write(folder: Path, models: list[Any], specification: NetworkSpecification) -> None:
    write_bundle(
        folder,
        models,
        name="tried",
        version="1.2.3",
        specification=specification,
        preprocessing=PreprocessingSettings(peak="highest"),
        training=Training(software={"keras": "3"}, recipe="none", data=()),
        licence="Apache-2.0",
        model_card="A card.",
    )


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """A bundle names its model, its network, its input contract and its intended use."""
    bundle = load_bundle(tiny_bundle(tmp_path, members=3))
    assert (bundle.identity.name, bundle.identity.version, bundle.members) == ("tiny-bright", "0.0.1", 3)
    assert bundle.specification == NetworkSpecification(width=0.125)
    assert bundle.preprocessing == PreprocessingSettings()
    assert bundle.threshold == 0.5
    assert bundle.manifest.intended_use == INTENDED_USE == "research use only; not a medical device"


def test_the_same_models_give_the_same_bytes(tmp_path: Path) -> None:
    """Writing twice gives the same files, so that a digest stands for a training and not for a moment."""
    import keras

    from segmentation.networks.unet import build_network

    specification = NetworkSpecification(width=0.125)
    keras.utils.set_random_seed(3)
    model = build_network(specification)
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        write(folder, [model], specification)
    names = sorted(path.name for path in folders[0].iterdir())
    assert names == ["MODEL_CARD.md", "graph.json", "manifest.json", "member-1.npz"]
    assert all((folders[0] / n).read_bytes() == (folders[1] / n).read_bytes() for n in names)
    assert load_bundle(folders[0]).preprocessing.peak == "highest"


def test_the_digest_stands_for_every_file(tmp_path: Path) -> None:
    """Any file or field that changes, changes the digest; white space and key order do not."""
    bundle = tiny_bundle(tmp_path)
    before = load_bundle(bundle).identity.digest
    change_manifest(bundle, lambda m: None)
    assert load_bundle(bundle).identity.digest == before == digest_of(load_bundle(bundle).manifest)
    replace_file(bundle, "MODEL_CARD.md", b"Another card.")
    assert load_bundle(bundle).identity.digest != before


def test_kernels_are_half_precision_and_statistics_are_not(tmp_path: Path) -> None:
    """Batch normalisation keeps float32: a variance of 1e-9 would be zero in float16, and one of 1e6 infinite."""
    with np.load(tiny_bundle(tmp_path, kind="random") / "member-1.npz", allow_pickle=False) as arrays:
        for key in arrays.files:
            assert arrays[key].dtype == (np.float16 if arrays[key].ndim > 1 else np.float32), key
    assert all(w.dtype == np.float32 for w in tiny_model(tmp_path / "b").weights[0].values())


@pytest.mark.parametrize("name", ["member-1.npz", "member-2.npz", GRAPH_NAME, "MODEL_CARD.md"])
def test_a_changed_byte_is_found(tmp_path: Path, name: str) -> None:
    """Every file is held to its sha256."""
    path = tiny_bundle(tmp_path) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(BadBundle, match=rf"{name}: expected sha256 \w+, got \w+"):
        load_bundle(tmp_path)


def test_a_cut_off_file_is_found(tmp_path: Path) -> None:
    """A half-copied file is refused by its size, with what to do."""
    path = tiny_bundle(tmp_path) / "member-1.npz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadBundle, match=r"expected \d+ bytes, got \d+: copy the bundle again"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST_NAME, "member-2.npz"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    """A file that is not there is named."""
    (tiny_bundle(tmp_path) / name).unlink()
    with pytest.raises(BadBundle, match=f"{name} is missing"):
        load_bundle(tmp_path)


def test_an_empty_folder_is_no_bundle(tmp_path: Path) -> None:
    """A folder without a manifest, and a path that is no folder, are BadBundle and not a traceback."""
    with pytest.raises(BadBundle, match=r"manifest\.json is missing"):
        load_bundle(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadBundle, match="cannot be read"):
        load_bundle(tmp_path / "file")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(schema_version=2), "expected bundle schema 1, got 2"),
        (lambda m: m.pop("schema_version"), "expected bundle schema 1, got None"),
        (lambda m: m.update(surprise=1), "surprise"),
        (lambda m: m.pop("licence"), "licence"),
        (lambda m: m.update(threshold=1.5), "threshold"),
        (lambda m: m.update(threshold="0.5"), "threshold"),
        (lambda m: m["architecture"].update(members=0), r"architecture\.members"),
        (lambda m: m["architecture"].update(members=3), r"lists no member-3\.npz"),
        (lambda m: m["architecture"].update(network="transformer"), r"architecture\.network"),
        (lambda m: m["input"].update(peak="lowest"), r"input\.peak"),
        (lambda m: m["input"].update(size=100), "multiple of 8"),
        (lambda m: m.update(name="../../etc"), "name"),
    ],
)
def test_a_foreign_manifest_is_refused_by_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    """Unknown schema, unknown or missing fields and values out of range are refused, and the field is named."""
    change_manifest(tiny_bundle(tmp_path), change)
    with pytest.raises(BadBundle, match=words):
        load_bundle(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_manifest_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    """A manifest of any bytes is refused in words."""
    (tiny_bundle(tmp_path) / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(BadBundle, match=r"manifest\.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", ["../outside.npz", "/etc/passwd", "a/b.npz", "..", ".hidden", "a\\b"])
def test_no_file_name_leads_out_of_the_bundle(tmp_path: Path, name: str) -> None:
    """The manifest may name plain files only."""
    (tmp_path / "outside.npz").write_bytes(b"x")
    bundle = tiny_bundle(tmp_path / "bundle")
    change_manifest(bundle, lambda m: m["files"].update({name: {"sha256": "0" * 64, "size_bytes": 1}}))
    with pytest.raises(BadBundle, match="files"):
        load_bundle(bundle)


def test_no_link_leads_out_of_the_bundle(tmp_path: Path) -> None:
    """A symbolic link to a file elsewhere is refused, even when its bytes are right."""
    bundle = tiny_bundle(tmp_path / "bundle")
    (bundle / "member-1.npz").rename(tmp_path / "elsewhere.npz")
    (bundle / "member-1.npz").symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(BadBundle, match="leads out"):
        load_bundle(bundle)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """A member of another width is refused, even when every hash is right, and the file is named."""
    other = tiny_bundle(tmp_path / "other", squeeze_excitation=False)
    bundle = tiny_bundle(tmp_path / "bundle")
    replace_file(bundle, "member-1.npz", (other / "member-1.npz").read_bytes())
    with pytest.raises(BadBundle, match=r"member-1\.npz: the weights are not those of the network"):
        load_bundle(bundle)


def test_members_of_different_networks_make_no_bundle(tmp_path: Path) -> None:
    """An ensemble's members share one architecture."""
    from segmentation.networks.unet import build_network

    specification = NetworkSpecification(width=0.125)
    models = [build_network(specification), build_network(NetworkSpecification(width=0.25))]
    with pytest.raises(BadBundle, match="one architecture"):
        write(tmp_path, models, specification)
    with pytest.raises(BadBundle, match="at least one member"):
        write(tmp_path, [], specification)
