"""A bucket in memory, for tests that talk to nothing."""

from collections.abc import Iterator

from pgdrill.aws.store import Store


class Memory(Store):
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:  # noqa: ARG002 - of the base
        self.objects[key] = body

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix) and key > after))
