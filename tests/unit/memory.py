"""A bucket in memory, for tests that talk to nothing."""

from collections.abc import Iterator
from hashlib import sha256

from pgdrill.aws.store import Store


class Memory(Store):
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:  # noqa: ARG002 - of the base
        self.objects[key] = body

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def read(self, key: str) -> tuple[bytes, str] | None:
        body = self.objects.get(key)
        return None if body is None else (body, sha256(body).hexdigest())

    def swap(self, key: str, body: bytes, tag: str | None) -> bool:
        there = self.read(key)
        if (there[1] if there else None) != tag:
            return False
        self.put(key, body)
        return True

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix) and key > after))
