"""What RDS says of the account and of itself: quotas with their use, and the engine versions there are."""

from pgdrill.lab.rds import listing, parameter_groups
from pgdrill.lab.rds.snapshots import MANUAL
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import Request, Result


def attributes(state: State, region: str, _: Request) -> Result:
    """DescribeAccountAttributes. Only the quotas of instances and snapshots are enforced.

    Source: RDS User Guide, "Quotas and constraints for Amazon RDS".
    """
    instances = state.instances.all(region)
    manual = sum(snapshot.kind == MANUAL for snapshot in state.snapshots.all(region))
    quotas = {
        "DBInstances": (len(instances), state.settings.instances),
        "ReservedDBInstances": (0, 40),
        "AllocatedStorage": (sum(instance.configuration.AllocatedStorage for instance in instances), 100_000),
        "DBSecurityGroups": (0, 25),
        "AuthorizationsPerDBSecurityGroup": (0, 20),
        "DBParameterGroups": (len(state.parameter_groups.all(region)), 50),
        "ManualSnapshots": (manual, state.quotas.value(region)),
        "EventSubscriptions": (0, 20),
        "DBSubnetGroups": (len(state.subnet_groups.all(region)), 50),
        "OptionGroups": (0, 20),
        "SubnetsPerDBSubnetGroup": (
            max((len(group.subnets) for group in state.subnet_groups.all(region)), default=0),
            20,
        ),
        "ReadReplicasPerMaster": (0, 15),
    }
    return {
        "AccountQuotas": [
            {"AccountQuotaName": name, "Used": used, "Max": most} for name, (used, most) in quotas.items()
        ]
    }


def engine_versions(state: State, _: str, request: Request) -> Result:
    """DescribeDBEngineVersions: the one version of the server programs at hand."""
    version, major = state.binaries.version, str(state.binaries.major)
    family = parameter_groups.family(state.binaries)
    fits = (
        request.get("Engine", "postgres") == "postgres"
        and request.get("EngineVersion", version) in (version, major)
        and request.get("DBParameterGroupFamily", family) == family
    )
    shown = {
        "Engine": "postgres",
        "MajorEngineVersion": major,
        "EngineVersion": version,
        "DBParameterGroupFamily": family,
        "DBEngineDescription": "PostgreSQL",
        "DBEngineVersionDescription": f"PostgreSQL {version}",
        "Status": "available",
        "ValidUpgradeTarget": [],
        "SupportsReadReplica": True,
    }
    return listing.page(request, "DBEngineVersions", [shown] if fits else [], lambda entry: entry)
