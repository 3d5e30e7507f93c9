"""File upload as the recipe of the SDK does it: azure-iot-device for the ticket, azure-storage-blob for the file."""

import os
import urllib.parse

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobBlock, BlobClient


def blob_of(hub, info, **options):
    name = urllib.parse.quote(info["blobName"])
    url = f"https://{info['hostName']}/{info['containerName']}/{name}{info['sasToken']}"
    return BlobClient.from_blob_url(url, connection_verify=hub.authority, retry_total=0, **options)


def download(hub, name, folder):
    path = folder / "downloaded"
    hub.call("file", "download", "--name", name, "--file", str(path))
    return path.read_bytes()


def test_file_is_uploaded_whole(hub, service, tmp_path):
    device = service.create()
    content = os.urandom(300_000)
    with device.connected() as client:
        info = client.get_storage_info_for_blob("logs/\u00fc 100%.bin")
        assert info["blobName"] == f"{device.device}/logs/\u00fc 100%.bin"
        with blob_of(hub, info) as blob:
            blob.upload_blob(content, validate_content=True)
            with pytest.raises(ResourceExistsError):
                blob.upload_blob(b"again")
            with pytest.raises(HttpResponseError):
                blob.download_blob()
        client.notify_blob_upload_status(info["correlationId"], True, 200, "done")
        assert download(hub, info["blobName"], tmp_path) == content
        # The ticket ended with the upload.
        with blob_of(hub, info) as blob, pytest.raises(HttpResponseError):
            blob.upload_blob(b"later", overwrite=True)
    listed = hub.ask("file", "list", "--device-id", device.device)
    assert [(file["name"], file["sizeBytes"]) for file in listed] == [(info["blobName"], len(content))]


def test_file_is_uploaded_in_blocks(hub, service, tmp_path):
    device = service.create()
    content = os.urandom(9_000_000)
    with device.connected() as client:
        info = client.get_storage_info_for_blob("large.bin")
        with blob_of(hub, info, max_single_put_size=1_000_000, max_block_size=1_000_000) as blob:
            blob.upload_blob(content, max_concurrency=4)
            assert download(hub, info["blobName"], tmp_path) == content
            blob.stage_block("b", b"world")
            blob.stage_block("a", b"hello ")
            blob.commit_block_list([BlobBlock("a"), BlobBlock("b")])
        client.notify_blob_upload_status(info["correlationId"], True, 200, "done")
    (tmp_path / "downloaded").unlink()
    assert download(hub, info["blobName"], tmp_path) == b"hello world"


def test_upload_survives_a_restart(hub, service, tmp_path):
    device = service.create()
    with device.connected() as client:
        info = client.get_storage_info_for_blob("a")
    hub.restart("kill")
    with blob_of(hub, info) as blob:
        blob.upload_blob(b"after the restart")
    with device.connected() as client:
        client.notify_blob_upload_status(info["correlationId"], True, 200, "done")
    assert download(hub, info["blobName"], tmp_path) == b"after the restart"
