"""What the functions may do that drill: choose a point, restore, observe, unlock, examine, judge, destroy, reap.

The order is that of docs/permissions.md, which says why a step makes a call. Plain functions on a Scope.
"""

from policies import RESTORES, Scope, Statement, allow, leased
from statements import (
    deletes_leases,
    derives,
    files,
    grants,
    sees_backups,
    sees_exports,
    sees_instances,
    sees_snapshots,
    sees_temporary,
    signs,
)


def choose(scope: Scope) -> list[Statement]:
    """Only where production is, a moment can be restored, and one that is unproved looked for."""
    statements = [sees_instances(scope), sees_snapshots(scope), deletes_leases(scope)]
    if scope.is_primary:
        statements.append(sees_backups())
    read = ("evidence",) if scope.is_primary else ()
    return [*statements, *files(scope, read=read, write=("drills", "skipped"))]


def restore(scope: Scope) -> list[Statement]:
    """`db` is the target, and the source of a PITR; see `policies.denials` for what keeps the two apart."""
    sources = [scope.rds("snapshot", scope.named("*"))]
    targets = [scope.temporary]
    if scope.is_primary:
        sources += [scope.rds("snapshot", f"rds:{name}-*") for name in scope.instances]
        targets += [scope.rds("db", name) for name in scope.instances]
    groups = [
        scope.rds("subgrp", scope.subnet_group),
        scope.rds("pg", scope.parameter_group),
        scope.rds("og", "default:postgres-*"),
    ]
    as_a_drill = {"aws:RequestTag/PgDrillRole": "drill"}
    statements = [
        sees_temporary(scope),
        allow(
            "RestoreSnapshot",
            RESTORES[0],
            [scope.temporary, *sources, *groups],
            StringEquals=as_a_drill,
            Bool={"rds:PubliclyAccessible": "false"},
        ),
        allow("TagTemporary", "rds:AddTagsToResource", scope.temporary, StringEquals=as_a_drill),
        *grants(scope, scope.restored_keys),
        *files(scope, write=("drills",)),
    ]
    if scope.is_primary:
        statements.append(
            allow(
                "RestoreMoment",
                RESTORES[1],
                [*targets, *groups],
                StringEquals=as_a_drill,
                Bool={"rds:PubliclyAccessible": "false"},
            )
        )
    return statements


def observe(scope: Scope) -> list[Statement]:
    return [sees_temporary(scope), *files(scope, write=("drills",))]


def unlock(scope: Scope) -> list[Statement]:
    return [
        sees_temporary(scope),
        derives(scope),
        allow("SetPassword", "rds:ModifyDBInstance", scope.temporary, StringEquals=leased()),
        *files(scope, write=("drills",)),
    ]


def examine(scope: Scope) -> list[Statement]:
    return [
        sees_temporary(scope),
        derives(scope),
        *files(scope, read=("drills", "references", "seals", "witness"), write=("drills",)),
    ]


def judge(scope: Scope) -> list[Statement]:
    return [
        signs(scope),
        *files(
            scope,
            read=("drills", "evidence", "references", "seals", "skipped", "witness"),
            write=("drills", "evidence", "exports", "references"),
        ),
    ]


def destroy(scope: Scope) -> list[Statement]:
    return [
        sees_temporary(scope),
        sees_backups(),
        deletes_leases(scope),
        signs(scope),
        *files(scope, read=("evidence",), write=("drills", "evidence")),
    ]


def reap(scope: Scope) -> list[Statement]:
    return [sees_instances(scope), deletes_leases(scope), *files(scope)]


def confront(scope: Scope) -> list[Statement]:
    archive = f"arn:aws:s3:::{scope.archive}"
    return [
        sees_temporary(scope),
        sees_exports(),
        derives(scope),
        allow("ReadArchive", "s3:GetObject", f"{archive}/*"),
        allow("ListArchive", "s3:ListBucket", archive),
        *files(scope, write=("drills",)),
    ]
