"""An instance as RDS describes a healthy production, for tests."""

from typing import Any

from pgdrill.aws.rds import Instance

HEALTHY: dict[str, Any] = {
    "id": "shop-production",
    "arn": "arn:aws:rds:ap-southeast-1:000000000000:db:shop-production",
    "status": "available",
    "resource_id": "db-1",
    "instance_class": "db.t3.medium",
    "engine_version": "15.18",
    "storage_gb": 20,
    "multi_az": True,
    "user": "master",
    "host": "127.0.0.1",
    "port": 5432,
    "public": False,
    "encrypted": True,
    "kms_key": "k",
    "subnet_group": "production",
    "vpc": "vpc-1",
    "security_groups": ("sg-1",),
    "parameter_groups": ("production",),
    "retention_days": 7,
    "deletion_protection": False,
    "new_password_pending": False,
    "restorable_to": None,
    "tags": {},
    "backup_window": "18:00-18:30",
    "maintenance_window": "sun:19:30-sun:20:00",
}


def instance(**changes: Any) -> Instance:
    return Instance.model_validate(HEALTHY | changes)
