from __future__ import annotations

import hashlib
import io
import json
import zipfile
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


def repack(bundle: Path, change: Callable[[dict[str, np.ndarray]], None]) -> None:
    with np.load(bundle / "member-1.npz") as archive:
        arrays = dict(archive)
    change(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    replace_file(bundle, "member-1.npz", buffer.getvalue())


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
        write_bundle(
            folder,
            [model],
            name="twice",
            version="1.2.3",
            specification=specification,
            preprocessing=PreprocessingSettings(peak="highest"),
            training=Training(software={"keras": keras.__version__}, recipe="none", data=()),
            licence="Apache-2.0",
            model_card="A card.",
        )
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


def test_weights_outside_half_precision_are_not_written(tmp_path: Path) -> None:
    """A kernel that float16 cannot hold is refused at writing, not turned into infinity."""
    import keras

    from segmentation.networks.unet import build_network

    specification = NetworkSpecification(width=0.125)
    keras.utils.set_random_seed(3)
    model = build_network(specification)
    kernel, bias = model.get_layer("wmh").get_weights()
    for value, words in [(1e6, "float16"), (np.nan, "finite")]:
        model.get_layer("wmh").set_weights([np.full_like(kernel, value), bias])
        with pytest.raises(BadBundle, match=words):
            write_bundle(
                tmp_path,
                [model],
                name="bad",
                version="1.0.0",
                specification=specification,
                preprocessing=PreprocessingSettings(),
                training=Training(software={}, recipe="none", data=()),
                licence="Apache-2.0",
                model_card="",
            )


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


def test_weights_are_never_unpickled(tmp_path: Path) -> None:
    """An archive that holds Python objects is refused without running them."""

    def smuggle(arrays: dict[str, np.ndarray]) -> None:
        arrays["wmh/bias"] = np.asarray([Bomb()], dtype=object)

    repack(tiny_bundle(tmp_path), smuggle)
    with pytest.raises(BadBundle, match="plain arrays"):
        load_bundle(tmp_path)


class Bomb:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return pytest.fail, ("unpickled",)


def test_an_archive_that_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    """A zip bomb is refused before it is unpacked."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("wmh/bias.npy", "w", force_zip64=True) as entry,
    ):
        for _ in range(300):
            entry.write(bytes(2**20))
    replace_file(tiny_bundle(tmp_path), "member-1.npz", buffer.getvalue())
    with pytest.raises(BadBundle, match="at most"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("wmh/bias"), "first difference: wmh/bias"),
        (lambda a: a.update(extra=np.zeros(1, np.float32)), "first difference: extra"),
        (lambda a: a.update({"wmh/bias": np.zeros(2, np.float32)}), r"wmh/bias: expected shape \(1,\), got \(2,\)"),
        (lambda a: a.update({"wmh/bias": np.zeros(1, np.int64)}), "expected float16 or float32, got int64"),
        (lambda a: a.update({"wmh/bias": np.full(1, np.inf, np.float32)}), "finite"),
    ],
)
def test_weights_must_be_those_of_the_network(
    tmp_path: Path, change: Callable[[dict[str, np.ndarray]], None], words: str
) -> None:
    """Each weight is held to the network's names, shapes and number formats, and must be finite."""
    repack(tiny_bundle(tmp_path), change)
    with pytest.raises(BadBundle, match=words):
        load_bundle(tmp_path)


def test_any_bytes_for_weights_are_refused_in_words(tmp_path: Path) -> None:
    """Weights that are no archive at all are refused in words."""
    replace_file(tiny_bundle(tmp_path), "member-1.npz", b"PK\x03\x04 not really")
    with pytest.raises(BadBundle, match="NumPy archive"):
        load_bundle(tmp_path)
