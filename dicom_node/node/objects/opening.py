"""The object store of the settings."""

from __future__ import annotations

from typing import Final

from dicom_node.node.objects.door import FolderStore, ObjectStore, folder_of
from dicom_node.node.objects.s3 import S3Address, S3ObjectStore
from dicom_node.node.objects.shared import SharedStorage
from dicom_node.node.secret_values import secret_value
from dicom_node.node.settings import Settings

_NAME: Final = "object_store"


def object_store_of(settings: Settings) -> ObjectStore | None:
    """The store that the settings name; None without one.

    Raises:
        ConfigurationError: the URL is of no store that we know, a package is missing, or the secret cannot be read.
    """
    if (url := settings.object_store) is None:
        return None
    if (folder := folder_of(url)) is not None:
        return FolderStore(folder)
    secret = None
    if settings.object_store_key_id is not None:
        what = "the secret access key"
        secret = secret_value(_NAME, _NAME, settings.object_store_secret_file, "OBJECT_STORE_KEY_ID", what)
    endpoint, region = settings.object_store_endpoint, settings.object_store_region
    address = S3Address.of(url, endpoint, region, settings.object_store_key_id, secret)
    return S3ObjectStore(address, settings.object_store_tls_ca)


def shared_storage_of(settings: Settings) -> SharedStorage | None:
    """STORAGE with the object store beside it; None without one."""
    store = object_store_of(settings)
    return None if store is None else SharedStorage(settings.storage.absolute(), store)
