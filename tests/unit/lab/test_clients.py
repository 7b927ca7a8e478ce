"""The daemon's own clients of AWS."""

from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader

from pgdrill.lab import clients


@pytest.fixture(autouse=True)
def _at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")


def test_a_second_client_of_a_service_reads_no_file_of_botocore_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    original = JSONFileLoader.load_file

    def load_file(self: JSONFileLoader, file_path: str) -> Any:
        read.append(Path(file_path).name)
        return original(self, file_path)

    monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
    clients._loader.cache_clear()  # another test may have filled it
    clients.client("sqs", "eu-west-1", "ONE", "secret", "")
    assert "endpoints" in read
    read.clear()
    clients.client("sqs", "eu-west-1", "OTHER", "secret", "token")
    assert read == []


def test_clients_that_share_it_keep_their_own_credentials() -> None:
    made = [
        clients.client("sqs", "eu-west-1", key, "secret", token) for key, token in (("A", ""), ("B", "t"))
    ]
    held = [one._request_signer._credentials for one in made]  # botocore shows them nowhere else
    assert [(one.access_key, one.token) for one in held] == [("A", None), ("B", "t")]
