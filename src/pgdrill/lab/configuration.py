"""What a cluster of the lab is told: its settings, who may connect, and the roles that RDS has. Pure texts."""

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

ADMIN = "rdsadmin"

# A lab's power does not fail, and what it tests is damage done on purpose: so nothing waits for the disk.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "wal_level": "replica",
    "archive_mode": "on",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] ",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "logging_collector": "off",
}

# The roles that an RDS instance has apart from its master user, and what they may do.
# Source: RDS User Guide, "Understanding the rds_superuser role".
ROLES = """
CREATE ROLE rds_superuser NOLOGIN;
CREATE ROLE rds_replication NOLOGIN;
CREATE ROLE rds_password NOLOGIN;
CREATE ROLE rds_iam NOLOGIN;
GRANT pg_monitor, pg_signal_backend, pg_checkpoint, rds_replication, rds_password TO rds_superuser
  WITH ADMIN OPTION;
GRANT SET ON PARAMETER session_replication_role TO rds_superuser;
"""
# Up to 15 CREATEROLE is enough to grant these; from 16 on the option is needed, without the membership itself.
GRANTABLE = """
GRANT pg_read_all_data, pg_write_all_data TO rds_superuser WITH ADMIN TRUE, INHERIT FALSE, SET FALSE;
"""
HEARTBEAT = """
CREATE TABLE rds_heartbeat2 (id int PRIMARY KEY, value bigint NOT NULL);
INSERT INTO rds_heartbeat2 VALUES (1, 0);
"""

# No line for unencrypted TCP: the server's refusal is then, word for word, that of rds.force_ssl.
HBA = f"""
local all,replication {ADMIN} peer map=lab
host all,replication {ADMIN} all reject
hostssl all all 127.0.0.1/32 scram-sha-256
"""


def conf(settings: Mapping[str, str]) -> str:
    """Write settings as PostgreSQL reads them from a file."""
    return "".join(
        "{} = '{}'\n".format(name, value.replace("\\", "\\\\").replace("'", "''"))
        for name, value in settings.items()
    )


def ident(users: Iterable[str]) -> str:
    """Let users of the operating system be rdsadmin over the Unix socket."""
    return "".join(f'lab "{user}" {ADMIN}\n' for user in sorted(users))


def archive_command(archive: Path) -> str:
    """Archive a segment complete or not at all; archived once more, after a crash, it must be the same."""
    to = _shell(archive)
    return f"if test -f {to}/%f; then cmp -s %p {to}/%f; else cp %p {to}/.%f && mv {to}/.%f {to}/%f; fi"


def restore_command(archive: Path) -> str:
    return f"cp {_shell(archive)}/%f %p"


def _shell(path: Path) -> str:
    """Quote a path for a shell inside a command in which PostgreSQL replaces what follows a percent sign."""
    return shlex.quote(str(path.absolute())).replace("%", "%%")
