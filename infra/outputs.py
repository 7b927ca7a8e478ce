"""What a deployment says of itself: flat scalars, lists joined by commas. Tests and people read nothing else."""

import re
from collections.abc import Iterable, Mapping

import pulumi

from cell import Cell
from ground import Grounds
from settings import Settings


def outputs(
    settings: Settings, account: str, grounds: Grounds, cells: Mapping[str, Cell]
) -> dict[str, pulumi.Input[str]]:
    """Return everything by its name, `primary` or `dr` first where it is a cell's."""
    said: dict[str, pulumi.Input[str]] = {
        "environmentSuffix": settings.stack.suffix,
        "account": account,
        "plan": grounds.plan.apply(lambda plan: plan.to_json()),
    }
    if settings.operators:
        said["operators"] = ",".join(settings.operators)
    for which, cell in cells.items():
        said |= {f"{which}{name}": value for name, value in _of(cell).items()}
    return said


def _of(cell: Cell) -> dict[str, pulumi.Input[str]]:
    ground, databases = cell.ground, cell.ground.databases
    return {
        "Region": ground.names.region,
        "EvidenceBucket": ground.buckets.evidence.bucket,
        "ArchiveBucket": ground.buckets.archive.bucket,
        "LogBucket": ground.buckets.logs.bucket,
        "StorageKeyArn": ground.keys.storage,
        "MessagesKeyArn": ground.keys.messages,
        "MacKeyArn": ground.keys.mac,
        "SigningKeyArn": ground.keys.signing,
        "DrillVpcId": ground.drill.vpc,
        "DrillSubnetIds": _joined(ground.drill.subnets),
        "DrillSecurityGroupId": ground.drill.databases,
        "ProductionVpcId": ground.production.vpc,
        "ProductionSubnetIds": _joined(ground.production.subnets),
        "DatabaseInstances": _joined(database.arn.apply(_name) for database in databases.values()),
        "DatabaseArns": _joined(database.arn for database in databases.values()),
        "BusArn": cell.bus,
        "BackupsTopicArn": cell.topics.backups,
        "DrillsTopicArn": cell.topics.drills,
        "DeadLetterQueueArn": cell.dead_letters,
        "ScheduleGroup": cell.schedule_group,
        **{f"{_camel(name)}FunctionArn": arn for name, arn in cell.functions.items()},
        **{f"{_camel(name)}MachineArn": arn for name, arn in cell.machines.items()},
        **{f"{_camel(name)}RoleArn": arn for name, arn in cell.roles.items()},
    }


def _name(arn: str) -> str:
    return arn.rpartition(":")[2]


def _joined(values: Iterable[pulumi.Input[str]]) -> pulumi.Output[str]:
    return pulumi.Output.all(*values).apply(lambda known: ",".join(map(str, known)))


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in re.split("-", name))
