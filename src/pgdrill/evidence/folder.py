"""Evidence that was downloaded: a directory read as the store is, so that it is verified without AWS. Writes nothing."""

from collections.abc import Iterator
from pathlib import Path

from pgdrill.errors import NotRunnable


class Folder:
    """`directory` is what lies below the bucket: it has a folder `evidence`."""

    def __init__(self, directory: Path) -> None:
        if not (directory / "evidence").is_dir():
            raise NotRunnable(
                f"directory {str(directory)!r} has no folder 'evidence'",
                hint="download the bucket's: aws s3 sync s3://BUCKET/evidence DIRECTORY/evidence",
            )
        self._directory = directory
        files = (path for path in directory.rglob("*") if path.is_file())
        self._keys = sorted(path.relative_to(directory).as_posix() for path in files)

    def get(self, key: str) -> bytes | None:
        """Return a file's bytes, or None where there is none."""
        try:
            return (self._directory / key).read_bytes()
        except FileNotFoundError:
            return None

    def keys(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the files that begin with `prefix` and come after `after`, in order."""
        return (key for key in self._keys if key.startswith(prefix) and key > after)
