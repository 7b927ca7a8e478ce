"""The lab's RDS behind a plain HTTP server, so that an unmodified boto3 can talk to it without the emulator."""

import json
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs

import boto3
import psycopg
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pgdrill.lab.faults import Faults
from pgdrill.lab.postgres import Binaries
from pgdrill.lab.rds.neighbours import Nobody
from pgdrill.lab.rds.service import LabSettings, Rds
from pgdrill.lab.tls import Authority

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient

ACCOUNT = "000000000000"
HOME, DR = "ap-southeast-1", "ap-northeast-1"
PASSWORD = "correct-horse-battery"
KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
DR_KEY = f"arn:aws:kms:{DR}:{ACCOUNT}:key/66666666-7777-8888-9999-000000000000"
TAGS = [{"Key": "Environment", "Value": "production"}, {"Key": "Owner", "Value": "shop"}]


class Keys(Nobody):
    """Keys are there and enabled, but for those that a test has disabled."""

    def __init__(self) -> None:
        self.disabled: set[str] = set()

    def key_usable(self, region: str, key: str) -> bool:  # noqa: ARG002 # as the protocol has it
        return key not in self.disabled


class Api:
    """A running service with clients, its faults, and what it published: (region, event id, identifier)."""

    def __init__(
        self, directory: Path, binaries: Binaries, authority: Authority, settings: LabSettings
    ) -> None:
        self.directory = directory
        self.authority = authority
        self.faults = Faults()
        self.keys = Keys()
        self.published: list[tuple[str, str, str]] = []
        self.rds = Rds(
            directory,
            binaries,
            authority,
            self.faults,
            account=ACCOUNT,
            publish=self._heard,
            default_region=HOME,
            settings=settings,
            neighbours=self.keys,
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.rds))
        self._clients: dict[str, RDSClient] = {}

    def __enter__(self) -> Self:
        self.rds.load()
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for client in self._clients.values():
            client.close()
        self.rds.close(keep=True)

    def client(self, region: str = HOME) -> "RDSClient":
        if region not in self._clients:
            self._clients[region] = boto3.client(
                "rds",
                region_name=region,
                endpoint_url=f"http://127.0.0.1:{self._server.server_port}",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self._clients[region]

    def instance(self, identifier: str, region: str = HOME) -> Any:
        return self.client(region).describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0]

    def snapshot(self, identifier: str, region: str = HOME, **more: Any) -> Any:
        return self.client(region).describe_db_snapshots(DBSnapshotIdentifier=identifier, **more)[
            "DBSnapshots"
        ][0]

    def create(self, identifier: str, **more: Any) -> Any:
        """Ask for an instance; without automated backups unless said otherwise."""
        parameters: dict[str, Any] = {
            "DBInstanceClass": "db.t3.medium",
            "Engine": "postgres",
            "AllocatedStorage": 20,
            "MasterUsername": "master",
            "MasterUserPassword": PASSWORD,
            "DBName": "shop",
            "BackupRetentionPeriod": 0,
        }
        return self.client().create_db_instance(DBInstanceIdentifier=identifier, **(parameters | more))[
            "DBInstance"
        ]

    def until(self, identifier: str, status: str = "available", region: str = HOME) -> tuple[Any, list[str]]:
        """Wait until an instance has `status`; return it and the statuses that were seen on the way."""
        return self._until(lambda: self.instance(identifier, region), "DBInstanceStatus", status)

    def until_snapshot(
        self, identifier: str, status: str = "available", region: str = HOME
    ) -> tuple[Any, list[str]]:
        return self._until(lambda: self.snapshot(identifier, region), "Status", status)

    def until_gone(self, identifier: str) -> None:
        deadline = time.monotonic() + 20
        while any(
            entry["DBInstanceIdentifier"] == identifier
            for entry in self.client().describe_db_instances()["DBInstances"]
        ):
            assert time.monotonic() < deadline, f"{identifier} is still there"
            time.sleep(0.02)

    def until_told(self, event: str, identifier: str, region: str = HOME) -> None:
        """Wait until an event of this number was published."""
        deadline = time.monotonic() + 10
        while (region, f"RDS-EVENT-{event}", identifier) not in self.published:
            assert time.monotonic() < deadline, f"{event} of {identifier} not in {self.published}"
            time.sleep(0.01)

    @staticmethod
    def _until(ask: Callable[[], Any], field: str, status: str) -> tuple[Any, list[str]]:
        seen: list[str] = []
        deadline = time.monotonic() + 30
        while True:
            answer = ask()
            if not seen or seen[-1] != answer[field]:
                seen.append(answer[field])
            if answer[field] == status:
                return answer, seen
            assert time.monotonic() < deadline, f"never {status}, but {seen}"
            time.sleep(0.005)

    def sql(
        self, instance: Any, *statements: str, password: str = PASSWORD, sslmode: str = "verify-full"
    ) -> Any:
        """Run statements in the database shop as the master user, as any client does; return the last rows."""
        with closing(
            psycopg.connect(
                host=instance["Endpoint"]["Address"],
                port=instance["Endpoint"]["Port"],
                user="master",
                password=password,
                dbname="shop",
                sslmode=sslmode,
                sslrootcert=str(self.authority.root_cert),
                autocommit=True,
            )
        ) as session:
            rows: Sequence[Any] = []
            for statement in statements:
                cursor = session.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
            return rows

    def until_restorable(self, identifier: str, moment: datetime) -> datetime:
        """Wait until an instance can be restored to `moment`, and return the latest restorable time then."""
        deadline = time.monotonic() + 20
        while True:
            latest: datetime = self.instance(identifier)["LatestRestorableTime"]
            if latest > moment:
                return latest
            assert time.monotonic() < deadline, f"restorable to {latest}, not to {moment}"
            time.sleep(0.05)

    def _heard(self, region: str, entry: dict[str, Any]) -> None:
        detail = json.loads(entry["Detail"])
        self.published.append((region, detail["EventID"], detail["SourceIdentifier"]))


@contextmanager
def refused(code: str, message: str | None = None, status: int = 400, *, match: str = "") -> Iterator[None]:
    """Expect an AWS error: its code, its HTTP status, and its whole message, or a pattern of it, where given."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert (error["Code"], caught.value.response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    if message is not None:
        assert error["Message"] == message
    assert re.search(match, error["Message"])


def unusable(key: str) -> str:
    return f"The specified KMS key [{key}] does not exist, is not enabled or you do not have permissions to access it."


@contextmanager
def served(
    ground: Path, binaries: Binaries, authority: Authority, settings: LabSettings | None = None
) -> Iterator[Api]:
    directory = Path(tempfile.mkdtemp(prefix="rds-", dir=ground))
    directory.chmod(0o755)
    try:
        with Api(directory, binaries, authority, settings or LabSettings(archive_every=0.2)) as api:
            yield api
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _handler(rds: Rds) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            params = parse_qs(body, keep_blank_values=True)
            scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/rds/", self.headers["Authorization"])
            assert scope is not None
            status, headers, answer = rds.handle(scope[1], params["Action"][0], params)
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(answer))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
