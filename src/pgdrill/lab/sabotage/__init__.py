"""Damages backups on purpose, in every way a drill has to find. Touches only the copy that it is given.

A sabotaged snapshot can be restored as ever, but no later moment can be recovered from it: it has been opened.
Everything but the damage stays as it was.
"""

from dataclasses import dataclass
from typing import Literal

from pgdrill.errors import NotRunnable
from pgdrill.lab.sabotage import files, statements, things
from pgdrill.lab.sabotage.things import Apply, Target

__all__ = ["ALL", "Sabotage", "Target", "by_name"]


@dataclass(frozen=True)
class Sabotage:
    """A kind of damage. `apply` does it to a backup or an archive in place, and names it in one sentence."""

    name: str
    what: str
    apply: Apply
    of: Literal["snapshot", "archive"] = "snapshot"
    needs_other: bool = False


def by_name(name: str) -> Sabotage:
    """Return a kind of sabotage.

    Raises:
        NotRunnable: there is none of that name.
    """
    for sabotage in ALL:
        if sabotage.name == name:
            return sabotage
    raise NotRunnable(f"no sabotage {name!r}", hint=f"choose one of: {', '.join(one.name for one in ALL)}")


ALL = (
    Sabotage(
        "heap-bit-flip", "one bit of a table's page is flipped", files.in_file(things.TABLE, files.flip)
    ),
    Sabotage(
        "heap-bit-flip-unseen",
        "one bit of a row was flipped before the page got its checksum",
        files.in_file(things.TABLE, files.flip_unseen),
    ),
    Sabotage(
        "index-bit-flip", "one bit of a btree's page is flipped", files.in_file(things.INDEX, files.flip)
    ),
    Sabotage("toast-bit-flip", "one bit of a TOAST page is flipped", files.in_file(things.TOAST, files.flip)),
    Sabotage(
        "truncated-file",
        "the last quarter of a table's file is missing",
        files.in_file(things.TABLE, files.truncate),
    ),
    Sabotage(
        "zeroed-page",
        "a page of a table is all zeros, which checksums allow",
        files.in_file(things.TABLE, files.zero_page),
    ),
    Sabotage("zeroed-file", "a table's file is all zeros", files.in_file(things.TABLE, files.zero_file)),
    Sabotage(
        "swapped-pages",
        "two pages of a table have changed places",
        files.in_file(things.TABLE, files.swap_pages),
    ),
    Sabotage(
        "doubled-page",
        "a page of a table was written over its neighbour",
        files.in_file(things.TABLE, files.double_page),
    ),
    Sabotage("lost-write", "a page of a table is older than the others", files.lose_write, needs_other=True),
    Sabotage(
        "missing-commit-log",
        "a segment of the commit log is missing",
        files.in_commit_log(files.remove_commit_log),
    ),
    Sabotage(
        "zeroed-commit-log",
        "a segment of the commit log is all zeros",
        files.in_commit_log(files.zero_commit_log),
    ),
    Sabotage(
        "deleted-rows",
        "a tenth of a table's rows is gone",
        statements.by_sql(things.TABLE, statements.delete_rows),
    ),
    Sabotage("dropped-table", "a table is gone", statements.by_sql(things.TABLE, statements.drop_table)),
    Sabotage(
        "sequence-set-back",
        "a sequence is back at its start",
        statements.by_sql(things.SEQUENCE, statements.set_back),
    ),
    Sabotage(
        "changed-collation",
        "a collation orders text otherwise than its indexes",
        statements.by_sql(things.COLLATED, statements.change_collation),
    ),
    Sabotage(
        "revoked-privileges",
        "what was granted on a table is revoked",
        statements.by_sql(things.GRANTED, statements.revoke),
    ),
    Sabotage(
        "dropped-policy",
        "a row security policy is gone",
        statements.by_sql(things.POLICY, statements.drop_policy),
    ),
    Sabotage(
        "orphaned-row",
        "a row that a foreign key refers to is gone",
        statements.by_sql(things.FOREIGN_KEY, statements.orphan),
    ),
    Sabotage(
        "constraint-not-valid",
        "a constraint is no longer valid",
        statements.by_sql(things.VALIDATED, statements.invalidate),
    ),
    Sabotage("stale-snapshot", "an older snapshot is passed off as this one", files.swap, needs_other=True),
    Sabotage(
        "foreign-snapshot",
        "another database's snapshot is passed off as this one",
        files.swap,
        needs_other=True,
    ),
    Sabotage("wal-hole", "a segment is missing in the middle of the archive", files.hole, of="archive"),
)
