"""What a cluster is told comes through its quoting unchanged."""

import subprocess
from pathlib import Path

from pgdrill.lab import configuration


def test_settings_are_quoted_as_postgresql_reads_them() -> None:
    assert (
        configuration.conf({"port": "1", "a.b": "it's a \\ path"})
        == "port = '1'\na.b = 'it''s a \\\\ path'\n"
    )


def test_users_come_in_order() -> None:
    assert configuration.ident({"postgres", "ann lee"}) == 'lab "ann lee" rdsadmin\nlab "postgres" rdsadmin\n'


def _archive(archive: Path, segment: Path) -> int:
    """Run the command as PostgreSQL's archiver does."""
    command = configuration.archive_command(archive).replace("%%", "\0")
    command = command.replace("%p", str(segment.relative_to(archive.parent))).replace("%f", segment.name)
    return subprocess.run(
        ["sh", "-c", command.replace("\0", "%")], cwd=archive.parent, check=False
    ).returncode


def test_a_segment_is_archived_once_and_never_replaced_by_another(tmp_path: Path) -> None:
    archive = tmp_path / "it's 100%f $HOME"
    archive.mkdir()
    segment = tmp_path / "000000010000000000000001"
    segment.write_text("content")
    assert _archive(archive, segment) == 0
    assert _archive(archive, segment) == 0
    segment.write_text("other")
    assert _archive(archive, segment) != 0
    assert [(file.name, file.read_text()) for file in archive.iterdir()] == [(segment.name, "content")]


def test_a_half_written_segment_is_not_in_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    assert _archive(archive, tmp_path / "000000010000000000000009") != 0
    assert list(archive.iterdir()) == []
