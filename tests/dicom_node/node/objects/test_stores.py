"""The door to an object store keeps its promises with a folder and with a real S3 server behind it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.certificates import Authority
from support.node import clean_environment, run_cli
from support.seaweed import BUCKET, KEY_ID, SECRET, Seaweed, seaweed

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.objects import door
from dicom_node.node.objects.door import FolderStore, ObjectStore, ObjectStoreTrouble, folder_of
from dicom_node.node.objects.opening import object_store_of
from dicom_node.node.objects.s3 import S3Address, S3ObjectStore
from dicom_node.node.settings import load_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed(tmp_path_factory.mktemp("weed")) as server:
        yield server


def _s3(endpoint: str, secret: str = SECRET) -> S3ObjectStore:
    return S3ObjectStore(S3Address.of(f"s3://{BUCKET}/node", endpoint, "us-east-1", KEY_ID, secret))


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        (tmp_path / "store").mkdir()
        return FolderStore(tmp_path / "store")
    return _s3(request.getfixturevalue("server").endpoint)


def test_an_object_stays_what_it_is(store: ObjectStore, tmp_path: Path) -> None:
    """What is there is never replaced, comes back to the byte, and is gone when it is deleted."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"a" * 3_000_000)
    second.write_bytes(b"b")
    key = f"inbox/{tmp_path.name}/1.dcm"
    assert not store.exists(key)
    assert not store.get(key, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    assert store.put_if_absent(key, first)
    assert not store.put_if_absent(key, second)
    assert store.exists(key)
    assert store.get(key, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == first.read_bytes()
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)


def test_what_does_not_come_back_as_it_went_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged object is refused and removed: the next try must not find it there and take it for proven."""
    (tmp_path / "store").mkdir()
    file, store = tmp_path / "file", FolderStore(tmp_path / "store")
    file.write_bytes(b"right")
    with monkeypatch.context() as damaging:
        damaging.setattr(door, "_copy", lambda _source, target: target.write_bytes(b"wrong"))
        with pytest.raises(ObjectStoreTrouble, match="other bytes"):
            store.put_if_absent("inbox/1.dcm", file)
    assert not store.exists("inbox/1.dcm")
    assert store.put_if_absent("inbox/1.dcm", file)
    assert (tmp_path / "store/inbox/1.dcm").read_bytes() == b"right"


def test_a_store_that_is_away_is_said_so(tmp_path: Path, server: Seaweed) -> None:
    """Each call ends with what is wrong and what to look at, and with no half file."""
    file, target = tmp_path / "file", tmp_path / "target"
    file.write_bytes(b"x")
    stores = {
        "it does not answer: is it running": _s3("http://127.0.0.1:9"),
        "it refuses our key or secret": _s3(server.endpoint, "wrong"),
        "No such file or directory": FolderStore(tmp_path / "not mounted"),
    }
    for words, store in stores.items():
        for call in (
            lambda store=store: store.put_if_absent("k", file),
            lambda store=store: store.get("k", target),
            lambda store=store: store.exists("k"),
            lambda store=store: store.delete("k"),
        ):
            with pytest.raises(ObjectStoreTrouble, match=words) as caught:
                call()
            assert SECRET not in str(caught.value)
        assert not target.exists()


def test_a_store_with_the_hospitals_own_ca(tmp_path: Path) -> None:
    """Over TLS with a certificate of the hospital's CA it works with OBJECT_STORE_TLS_CA, and says what to look at
    without it, or with another CA."""
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "another CA")
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with seaweed(tmp_path / "weed", tls=authority.issue("store")) as server:

        def store_with(tls_ca: Path | None) -> ObjectStore:
            given = {**server.settings, "object_store_endpoint": server.tls_endpoint}
            given |= {"object_store_secret_file": tmp_path / "secret", "object_store_tls_ca": tls_ca}
            del given["secret_object_store"]
            store = object_store_of(load_settings(storage=tmp_path / "storage", **given))
            assert store is not None
            return store

        (tmp_path / "secret").write_text(SECRET)
        for tls_ca in (None, other.certificate):
            with pytest.raises(
                ObjectStoreTrouble, match="TLS failed: is OBJECT_STORE_TLS_CA the CA of its certificate"
            ):
                store_with(tls_ca).put_if_absent("k", file)
        assert store_with(authority.certificate).put_if_absent("k", file)
        assert store_with(authority.certificate).get("k", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"x"


@pytest.mark.parametrize(
    ("endpoint", "content", "words"),
    [
        ("http://127.0.0.1:9", "", "expected an https object_store_endpoint"),
        ("https://127.0.0.1:9", "no certificate", "rubbish.pem"),
        ("https://127.0.0.1:9", None, "rubbish.pem"),
    ],
)
def test_a_ca_that_cannot_be_used(tmp_path: Path, endpoint: str, content: str | None, words: str) -> None:
    """It is refused when the settings are used, with its file, and not as a store that is away."""
    tls_ca = tmp_path / "rubbish.pem"
    if content is not None:
        tls_ca.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        S3ObjectStore(S3Address.of("s3://bucket/node", endpoint, "us-east-1", KEY_ID, SECRET), tls_ca)


@contextmanager
def _answering(status: int, code: str) -> Iterator[str]:
    """An S3 server that gives the same error to every call; its endpoint."""
    body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = answer  # noqa: N815 - as http.server names them

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_missing_bucket_is_trouble_and_no_missing_object(tmp_path: Path) -> None:
    """Without its bucket the store says nothing about an object, or a job would fail for want of images."""
    file, target = tmp_path / "file", tmp_path / "target"
    file.write_bytes(b"x")
    with _answering(404, "NoSuchBucket") as endpoint:
        store = _s3(endpoint)
        for call in (lambda: store.put_if_absent("k", file), lambda: store.get("k", target)):
            with pytest.raises(ObjectStoreTrouble, match="no such bucket"):
                call()
    assert not target.exists()


def test_the_digits_of_a_uid_are_no_status(tmp_path: Path) -> None:
    """An error's text has the key: a UID with 403 in it does not make a refused secret of any error."""
    with _answering(400, "InvalidRequest") as endpoint, pytest.raises(ObjectStoreTrouble) as caught:
        _s3(endpoint).get("inbox/ab/1.2.403.1/1.dcm", tmp_path / "target")
    assert "key or secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://", "s3://B", "s3://bucket/a b", "https://bucket"])
def test_another_url_is_refused(url: str) -> None:
    """The message says what is expected."""
    with pytest.raises(ConfigurationError, match="file:///FOLDER or s3://BUCKET/PREFIX"):
        S3Address.of(url, None, "us-east-1", None, None)


def test_a_folder_is_absolute() -> None:
    """A folder that depends on where the program was started is refused."""
    assert folder_of("file:///mnt/objects") == Path("/mnt/objects")
    assert folder_of("s3://bucket") is None
    with pytest.raises(ConfigurationError, match="file:///FOLDER"):
        folder_of("file://objects")


def test_config_check_tries_it(tmp_path: Path, server: Seaweed) -> None:
    """`config check` puts, puts again, reads and deletes; a wrong secret is named and never shown."""
    environment = {
        **clean_environment(),
        "WMH_NODE_STORAGE": str(tmp_path),
        **{f"WMH_NODE_{name.upper()}": value for name, value in server.settings.items()},
    }

    def found() -> tuple[bool, str]:
        said = run_cli("config", "check", "--json", environment=environment, code=None).stdout
        (line,) = [line for line in json.loads(said) if line["what"] == "object store"]
        return line["ok"], line["detail"]

    assert found() == (
        True,
        f"s3://{BUCKET}/node at {server.endpoint} takes objects, keeps those that are there, and gives them back",
    )
    environment["WMH_NODE_SECRET_OBJECT_STORE"] = "wrong-one"
    is_well, words = found()
    assert not is_well and "refuses our key or secret" in words and "wrong-one" not in words
