"""S3 behind the door, by obstore: conditional puts, a time limit on each call, and a look at what came back."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from dicom_node.node.errors import ConfigurationError
from dicom_node.node.files import sync_file
from dicom_node.node.objects.door import ObjectStoreTrouble, digest_of, require_same
from dicom_node.node.tls import require_ca

_URL: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(/(?P<prefix>[A-Za-z0-9._/-]*))?")
_CALL_SECONDS: Final = 60
_CONNECT_SECONDS: Final = 5
# Of one call with all its repetitions; a job waits no longer before it goes back to the queue.
_RETRIES: Final = {"max_retries": 2, "retry_timeout": timedelta(seconds=60)}
_BLOCK: Final = 1024 * 1024
_T = TypeVar("_T")


@dataclass(frozen=True)
class S3Address:
    """Where the objects are.

    Attributes:
        endpoint: of a server that is not Amazon's; None: Amazon's in that region.
        key_id, secret: None: as obstore finds them on a machine of Amazon's.
    """

    bucket: str
    prefix: str
    endpoint: str | None
    region: str
    key_id: str | None
    secret: str | None

    @classmethod
    def of(cls, url: str, endpoint: str | None, region: str, key_id: str | None, secret: str | None) -> S3Address:
        """From the settings.

        Raises:
            ConfigurationError: it is no such URL.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise ConfigurationError(f"object_store: expected file:///FOLDER or s3://BUCKET/PREFIX, got {url}")
        return cls(found["bucket"], (found["prefix"] or "").strip("/"), endpoint, region, key_id, secret)


class S3ObjectStore:
    """See `ObjectStore`.

    Args:
        address: where it is.
        tls_ca: PEM file of CAs that its certificate may come from, too; None: the system's alone.

    Raises:
        ConfigurationError: the package is missing, or `tls_ca` cannot be used.
    """

    def __init__(self, address: S3Address, tls_ca: Path | None = None) -> None:
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError as error:
            raise ConfigurationError(
                "object_store: s3:// needs the package obstore: pip install 'wmh-node[s3]'"
            ) from error
        self._obstore: Any = obstore
        config = {
            "aws_region": address.region,
            "aws_endpoint": address.endpoint,
            "aws_access_key_id": address.key_id,
            "aws_secret_access_key": address.secret,
        }
        client: dict[str, Any] = {
            "timeout": timedelta(seconds=_CALL_SECONDS),
            "connect_timeout": timedelta(seconds=_CONNECT_SECONDS),
            "allow_http": (address.endpoint or "").startswith("http://"),
        }
        if tls_ca is not None:
            client["root_certificate"] = _certificates(tls_ca, address)
        self._store: Any = S3Store(
            address.bucket,
            prefix=address.prefix or None,
            config={name: value for name, value in config.items() if value is not None},
            client_options=client,
            retry_config=_RETRIES,
        )
        self._name = f"s3://{address.bucket}/{address.prefix}"
        if address.endpoint:
            self._name += f" at {address.endpoint}"

    @property
    def name(self) -> str:
        """Bucket, prefix and server."""
        return self._name

    def put_if_absent(self, key: str, file: Path) -> bool:
        """See `ObjectStore`."""
        try:
            # In one piece: only then the store takes the condition (If-None-Match).
            self._call(lambda: self._obstore.put(self._store, key, file, mode="create", use_multipart=False))
        except FileExistsError:
            return False
        try:
            require_same(self, key, digest_of(file), self._digest_of(key))
        except ObjectStoreTrouble:  # unproven, and it would count as proven at the next look
            with suppress(ObjectStoreTrouble):
                self.delete(key)
            raise
        return True

    def get(self, key: str, target: Path) -> bool:
        """See `ObjectStore`."""
        try:
            with target.open("xb") as copy:
                for block in self._blocks(key):
                    copy.write(block)
                copy.flush()
                sync_file(copy.fileno())
        except _NotThere:
            target.unlink()
            return False
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return True

    def exists(self, key: str) -> bool:
        """See `ObjectStore`."""
        try:
            self._call(lambda: self._obstore.head(self._store, key))
        except _NotThere:
            return False
        return True

    def delete(self, key: str) -> None:
        """See `ObjectStore`."""
        try:
            self._call(lambda: self._obstore.delete(self._store, key))
        except _NotThere:
            return

    def _digest_of(self, key: str) -> str:
        digest = hashlib.sha256()
        for block in self._blocks(key):
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self, key: str) -> Iterator[bytes]:
        found = self._call(lambda: self._obstore.get(self._store, key))
        with self._translated():
            for block in found.stream(min_chunk_size=_BLOCK):
                yield bytes(block)

    def _call(self, call: Callable[[], _T]) -> _T:
        with self._translated():
            return call()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            NotFoundError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        unusable = f"the object store {self.name} cannot be used"
        try:
            yield
        except (FileNotFoundError, NotFoundError) as error:
            if _NO_BUCKET in str(error):  # no object is missing: all are
                raise ObjectStoreTrouble(f"{unusable}: there is no such bucket: make it first") from error
            raise _NotThere(f"{unusable}: it has lost an object") from error
        except AlreadyExistsError as error:
            raise FileExistsError from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise ObjectStoreTrouble(f"{unusable}: it refuses our key or secret") from error
        except (BaseError, OSError) as error:
            raise ObjectStoreTrouble(f"{unusable}: {_words(error)}") from error


def _certificates(tls_ca: Path, address: S3Address) -> bytes:
    if (address.endpoint or "").startswith("http://"):
        raise ConfigurationError("object_store_tls_ca: expected an https object_store_endpoint with it, got http")
    require_ca(tls_ca)
    return tls_ca.read_bytes()


class _NotThere(ObjectStoreTrouble):
    """No object has that key. Trouble where one must be, as after a put."""


_NO_BUCKET: Final = "NoSuchBucket"
# Words that no key of ours can hold: the text has the URL, and a UID may have the digits of any status.
_SIGNS: Final = (
    (("InvalidCertificate",), "TLS failed: is OBJECT_STORE_TLS_CA the CA of its certificate, is that still valid, does "
     "it name the host of OBJECT_STORE_ENDPOINT?"),
    (("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"), "it refuses our key or secret"),
    (("onnection refused", "error trying to connect", "dns error", "timed out", "operation timed out", "onnect"),
     "it does not answer: is it running, does the firewall allow it?"),
)  # fmt: skip


def _words(error: BaseException) -> str:
    """What to look at; the text of the library may hold URLs that are signed."""
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    text = str(error)
    return next((words for signs, words in _SIGNS if any(sign in text for sign in signs)), type(error).__name__)
