from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.models import tiny_bundle, tiny_model

from segmentation.bundle import (
    GRAPH_NAME,
    MANIFEST_NAME,
    ModelBundle,
    digest_of,
    load_bundle,
    write_bundle,
)
from segmentation.errors import BadBundle
from segmentation.manifest import INTENDED_USE, Manifest, Training
from segmentation.networks.specification import NetworkSpecification
from segmentation.preprocessing.settings import PreprocessingSettings
from segmentation.untrusted import printable


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


def write(folder: Path, models: list[Any], specification: NetworkSpecification, **options: Any) -> ModelBundle:
    given = {"training": Training(software={"keras": "3"}, recipe="none", data=())} | options
    return write_bundle(
        folder,
        models,
        name="tried",
        version="1.2.3",
        specification=specification,
        preprocessing=PreprocessingSettings(peak="highest", size=specification.size),
        licence="Apache-2.0",
        model_card="A card.",
        **given,
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
    assert names == ["MODEL_CARD.md", "golden.npz", "graph.json", "manifest.json", "member-1.npz"]
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
        (lambda m: m.update(temperature=0.0), "temperature"),
        (lambda m: m["golden"].update(slices=1000), r"golden\.slices"),
        (lambda m: m["files"].pop("golden.npz"), r"lists no golden\.npz"),
        (lambda m: m["files"].pop("ventricles.npz"), r"lists no ventricles\.npz"),
        (lambda m: m["ventricles"].update(members=2), r"ventricles\.members"),
        (lambda m: m["ventricles"].update(threshold=1.0), r"ventricles\.threshold"),
        (lambda m: m["training"].update(patients=["A"], held_out=[["A"]]), r"one list per member \(2\), got 1"),
        (lambda m: m["training"].update(patients=["A"], held_out=[["A"], ["B"]]), "names 'B', which is not among"),
        (lambda m: m["training"].update(held_out=[["A"], []]), "names 'A', which is not among"),
        (lambda m: m["files"]["golden.npz"].update(size_bytes=2**31), r"a bundle of at most \d+ bytes"),
    ],
)
def test_a_foreign_manifest_is_refused_by_field(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    """Unknown schema, unknown or missing fields and values out of range are refused, and the field is named."""
    change_manifest(tiny_bundle(tmp_path, size=32, ventricles=True), change)
    with pytest.raises(BadBundle, match=words):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000, b'{"schema_version":' * 100_000]
)
def test_a_manifest_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    """A manifest of any bytes is refused with a clear error."""
    (tiny_bundle(tmp_path) / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(BadBundle, match=r"manifest\.json"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b'{"nodes":' * 100_000])
def test_a_graph_that_is_not_json_is_refused(tmp_path: Path, content: bytes) -> None:
    """A graph of any bytes is refused with a clear error, even when its hash is right, at any depth."""
    replace_file(tiny_bundle(tmp_path, size=32), GRAPH_NAME, content)
    with pytest.raises(BadBundle, match="network graph, : Invalid JSON"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", [MANIFEST_NAME, GRAPH_NAME])
@pytest.mark.parametrize(
    ("put", "words"),
    [
        (lambda path: path.symlink_to("/dev/null"), "got a link|leads out"),
        (lambda path: path.symlink_to(path.name), "got a link"),
        (lambda path: path.symlink_to("MODEL_CARD.md"), "got a link"),
        (lambda path: path.mkdir(), "got a folder, pipe or device"),
    ],
    ids=["device", "itself", "neighbour", "folder"],
)
def test_only_plain_files_are_read(tmp_path: Path, name: str, put: Callable[[Path], None], words: str) -> None:
    """A link, to a device without end or to anything else, and a folder are refused by name, and never read."""
    bundle = tiny_bundle(tmp_path, size=32)
    (bundle / name).unlink()
    put(bundle / name)
    with pytest.raises(BadBundle, match=rf"{name}.*({words})"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", [MANIFEST_NAME, GRAPH_NAME])
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """A pipe without a writer is refused at once."""
    bundle = tiny_bundle(tmp_path, size=32)
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    with pytest.raises(BadBundle, match=rf"{name}: expected a plain file, got a folder, pipe or device"):
        load_bundle(bundle)


def test_a_file_that_grows_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that grows after it was looked at, no more than one byte is read beyond its size, and it is refused."""
    card = tiny_bundle(tmp_path, size=32) / "MODEL_CARD.md"
    looks_at = os.fstat

    def grows(descriptor: int) -> os.stat_result:
        found = looks_at(descriptor)
        if os.path.samestat(found, card.stat()):
            with card.open("ab") as file:
                file.write(b"more")
        return found

    monkeypatch.setattr(os, "fstat", grows)
    with pytest.raises(BadBundle, match=r"MODEL_CARD\.md: expected \d+ bytes, got more"):
        load_bundle(tmp_path)


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    """A file is held to its limit by its size, before a byte of it is read."""
    with (tmp_path / MANIFEST_NAME).open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(BadBundle, match=rf"expected manifest\.json of at most \d+ bytes, got {2**40}"):
        load_bundle(tmp_path)


def test_no_word_of_a_bundle_commands_a_terminal(tmp_path: Path) -> None:
    """What an error quotes from a bundle holds no control character; umlauts, tabs and new lines stay as they are."""
    change_manifest(tiny_bundle(tmp_path, size=32), lambda m: m.update({"surprise\x1b]0;x\x07\x1b[2J\x9b2J": 1}))
    with pytest.raises(BadBundle, match="surprise\ufffd]0;x\ufffd\ufffd\\[2J\ufffd2J"):
        load_bundle(tmp_path)
    assert printable("Größe:\t1\n" + "".join(map(chr, [*range(9), 13, 127, *range(128, 160)]))) == (
        "Größe:\t1\n" + "\ufffd" * 43
    )


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


def test_a_bundle_written_before_there_were_optional_fields_keeps_its_digest(tmp_path: Path) -> None:
    """A manifest without the optional fields has the digest that it had before there were any."""
    oldest = tiny_bundle(tmp_path / "old", size=32)
    change_manifest(oldest, lambda m: (m.pop("golden"), m["files"].pop("golden.npz")))
    document = json.loads((oldest / MANIFEST_NAME).read_bytes())
    assert not {"ventricles", "golden", "temperature"} & document.keys()
    assert not {"patients", "held_out"} & document["training"].keys()
    old = load_bundle(oldest)
    written = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert old.identity.digest == hashlib.sha256(written.encode()).hexdigest()
    assert (old.ventricles, old.golden, old.manifest.temperature) == (None, None, None)
    assert old.members_that_never_saw("anyone") is None
    explicit = old.manifest.document() | {"ventricles": None}
    assert digest_of(Manifest.model_validate_json(json.dumps(explicit))) == old.identity.digest


@pytest.mark.slow
def test_ventricles_and_temperature_are_read_back(tmp_path: Path) -> None:
    """A bundle may hold one ventricle network of another width, and states the temperature; both enter the digest."""
    from segmentation.networks.unet import build_network

    specification = NetworkSpecification(width=0.125, size=32)
    marker = NetworkSpecification(squeeze_excitation=False, variant="text", width=0.25, size=32)
    model = build_network(specification)
    plain = write(tmp_path / "a", [model], specification)
    bundle = write(tmp_path / "b", [model], specification, ventricles=build_network(marker), temperature=1.5)
    assert bundle.ventricles is not None and bundle.ventricles.networks.specification == marker
    assert bundle.ventricles.threshold == 0.5
    assert bundle.manifest.temperature == 1.5
    assert bundle.golden is not None and bundle.golden.ventricles is not None
    assert plain.identity.digest != bundle.identity.digest
    assert not bundle.ventricles.is_mirrored and "mirrored" not in bundle.manifest.document()["ventricles"]
    twice = write(tmp_path / "d", [model], specification, ventricles=build_network(marker), mirrors_ventricles=True)
    assert twice.ventricles is not None and twice.ventricles.is_mirrored
    with pytest.raises(BadBundle, match="images of 32 pixels, got 64"):
        write(
            tmp_path / "c", [model], specification, ventricles=build_network(NetworkSpecification(width=0.1, size=64))
        )


def test_a_bundle_tells_which_members_may_be_scored_on_a_patient(tmp_path: Path) -> None:
    """Members that never saw a patient are reported, so that an evaluation can leave the others out."""
    from segmentation.networks.unet import build_network

    specification = NetworkSpecification(width=0.125, size=32)
    models = [build_network(specification), build_network(specification)]
    training = Training(software={}, recipe="x", data=(), patients=("A", "B", "C"), held_out=(("A",), ("A", "B")))
    bundle = write(tmp_path, models, specification, training=training)
    assert [bundle.members_that_never_saw(name) for name in "ABCD"] == [(0, 1), (1,), (), (0, 1)]


def test_members_that_are_not_of_the_specification_are_not_written(tmp_path: Path) -> None:
    """A specification that does not build these members is found when the bundle is written, not when it is served."""
    from segmentation.networks.unet import build_network

    with pytest.raises(BadBundle, match="another network"):
        write(tmp_path, [build_network(NetworkSpecification(width=0.125, size=32))], NetworkSpecification(size=32))


@pytest.mark.parametrize("name", ["ventricles.npz", "golden.npz", "ventricles-graph.json"])
@pytest.mark.slow
def test_optional_files_are_held_to_their_hash_and_shape(tmp_path: Path, name: str) -> None:
    """What is optional is checked as strictly: a changed byte is found, and a file of another bundle is refused."""
    bundle = tiny_bundle(tmp_path / "a", size=32, ventricles=True)
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(bytes(content))
    with pytest.raises(BadBundle, match=f"{name}: expected sha256"):
        load_bundle(bundle)
    other = tiny_bundle(tmp_path / "b", size=64, ventricles=True, width=0.25)
    replace_file(bundle, name, (other / name).read_bytes())
    with pytest.raises(BadBundle):
        load_bundle(bundle)
