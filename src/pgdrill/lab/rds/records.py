"""What the lab's RDS remembers: frozen records, one JSON file each, so that a killed lab forgets nothing.

Fields that a request sets and a description shows carry AWS's own names, so no table translates them.
"""

from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import Field

from pgdrill.model import Model, Moment


class Record(Model):
    """Anything with a name in a region. Names are unique per region and kind, and lower case."""

    region: str
    identifier: str
    tags: dict[str, str] = Field(default_factory=dict)


class Configuration(Model):
    """An instance's settings. The defaults are those of CreateDBInstance for PostgreSQL.

    Source: RDS API reference, CreateDBInstance.
    """

    DBInstanceClass: str
    Engine: str = "postgres"
    EngineVersion: str
    MasterUsername: str
    DBName: str | None = None
    AllocatedStorage: int
    StorageType: str = "gp3"
    Iops: int | None = None
    StorageThroughput: int | None = None
    MaxAllocatedStorage: int | None = None
    StorageEncrypted: bool = False
    KmsKeyId: str | None = None
    MultiAZ: bool = False
    AvailabilityZone: str
    PubliclyAccessible: bool = False
    NetworkType: str = "IPV4"
    AutoMinorVersionUpgrade: bool = True
    LicenseModel: str = "postgresql-license"
    CopyTagsToSnapshot: bool = False
    DeletionProtection: bool = False
    BackupRetentionPeriod: int = 1
    BackupTarget: str = "region"
    PreferredBackupWindow: str = "18:00-18:30"
    PreferredMaintenanceWindow: str = "sun:19:30-sun:20:00"
    MonitoringInterval: int = 0
    MonitoringRoleArn: str | None = None
    CACertificateIdentifier: str = "rds-ca-rsa2048-g1"
    EngineLifecycleSupport: str = "open-source-rds-extended-support"
    DedicatedLogVolume: bool = False
    IAMDatabaseAuthenticationEnabled: bool = False
    PerformanceInsightsEnabled: bool = False
    EnabledCloudwatchLogsExports: tuple[str, ...] = ()
    DBSubnetGroupName: str = "default"
    DBParameterGroupName: str
    OptionGroupName: str
    VpcSecurityGroupIds: tuple[str, ...]


class Instance(Record):
    """`pending` is in the shape of PendingModifiedValues and never holds a password.

    `parameters` is the group's apply status.
    """

    resource_id: str
    status: str
    configuration: Configuration
    port: int | None = None
    created_at: Moment
    latest_restorable: Moment | None = None
    parameters: str = "in-sync"
    pending: dict[str, Any] = Field(default_factory=dict)

    @property
    def backed_up(self) -> bool:
        return self.configuration.BackupRetentionPeriod > 0


class Snapshot(Record):
    """`source` is the instance as it was. `uid` names the directory with the base backup.

    For a copy `copied_from` is the source's ARN; `original_created_at` and `database_time` stay the source's.
    """

    uid: str
    kind: str
    status: str
    progress: int = 0
    source: Instance
    kms_key: str | None
    encrypted: bool
    created_at: Moment
    original_created_at: Moment
    database_time: Moment | None = None
    size: int | None = None
    copied_from: str | None = None
    source_region: str | None = None


class Export(Record):
    """An export task. `uid` names the directory of its throw-away cluster; `warning` is JSON."""

    uid: str
    source_arn: str
    only: tuple[str, ...] = ()
    bucket: str
    prefix: str
    role: str
    key: str
    status: str = "STARTING"
    progress: int = 0
    snapshot_at: Moment
    started_at: Moment | None = None
    ended_at: Moment | None = None
    extracted_gb: int = 0
    failure: str = ""
    warning: str = ""


class Retained(Record):
    """The automated backups of a deleted instance; `identifier` is its resource id."""

    source: Instance


class Replicated(Record):
    """Automated backups of an instance of another region; `identifier` is its resource id, `source` as it was."""

    source: Instance
    kms_key: str | None
    retention: int
    stopped: bool = False


class SubnetGroup(Record):
    description: str
    subnets: tuple[str, ...]


class ParameterGroup(Record):
    """`values` holds what was set, by parameter name; all else is the engine's default."""

    family: str
    description: str
    values: dict[str, str] = Field(default_factory=dict)
    methods: dict[str, str] = Field(default_factory=dict)


class Event(Record):
    """Something that RDS tells; `identifier` names its source, `event` is as `RDS-EVENT-0005`."""

    event: str
    source_type: str
    arn: str
    message: str
    categories: tuple[str, ...]
    date: Moment


R = TypeVar("R", bound=Record)


class Table(Generic[R]):
    """All records of one kind. The caller holds the lock."""

    def __init__(self, directory: Path, kind: type[R]) -> None:
        self._directory = directory
        self._kind = kind
        self._records: dict[tuple[str, str], R] = {}

    def load(self) -> None:
        for path in sorted(self._directory.glob("*/*.json")):
            record = self._kind.model_validate_json(path.read_bytes())
            self._records[record.region, record.identifier] = record

    def get(self, region: str, identifier: str) -> R | None:
        return self._records.get((region, identifier))

    def all(self, region: str | None = None) -> list[R]:
        """Return the records of a region, or of all, in the order of their identifiers."""
        chosen = (record for record in self._records.values() if region in (None, record.region))
        return sorted(chosen, key=lambda record: (record.region, record.identifier))

    def put(self, record: R) -> R:
        self._records[record.region, record.identifier] = record
        path = self._path(record)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".tmp")
        aside.write_text(record.model_dump_json())
        aside.replace(path)
        return record

    def remove(self, record: R) -> None:
        del self._records[record.region, record.identifier]
        self._path(record).unlink()

    def _path(self, record: R) -> Path:
        return self._directory / record.region / f"{record.identifier}.json"
