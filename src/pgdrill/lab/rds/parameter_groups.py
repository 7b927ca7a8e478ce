"""Parameter groups: what an instance's server is started with.

The parameters, their types, ranges and whether they need a reboot are asked of PostgreSQL itself.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from pgdrill.lab.postgres import ALLOWED, Binaries
from pgdrill.lab.rds import listing
from pgdrill.lab.rds.records import Instance, ParameterGroup
from pgdrill.lab.rds.state import State
from pgdrill.lab.rds.wire import RdsError, Request, Result

# What RDS decides itself, or what would take a server away from the lab. A value for one of these is kept in
# the group and shown, but PostgreSQL does not get it.
OURS = re.compile(
    r"archive_.*|wal_level|listen_addresses|port|unix_socket_.*|ssl.*|data_directory|hba_file|ident_file|"
    r"external_pid_file|config_file|restore_command|recovery_.*|primary_.*|fsync|full_page_writes|log_.*|"
    r"logging_collector|shared_preload_libraries|.*_preload_libraries|dynamic_library_path|shared_buffers|"
    r"max_connections|max_wal_size|min_wal_size|huge_pages.*|password_encryption|cluster_name|krb_.*|"
    r"effective_cache_size|max_worker_processes|max_wal_senders|max_replication_slots|temp_tablespaces|debug_.*"
)
# Source: RDS User Guide, "Requiring an SSL connection to a PostgreSQL DB instance"; on by default from 15.
RDS_PARAMETERS = {"rds.force_ssl": "1", "rds.extensions": ", ".join(ALLOWED), "rds.logical_replication": "0"}


@dataclass(frozen=True)
class Parameter:
    """One of PostgreSQL's, as `postgres --describe-config` prints it."""

    name: str
    static: bool
    kind: str
    default: str
    lowest: str
    highest: str
    description: str


@cache
def known(binaries: Binaries) -> dict[str, Parameter]:
    """Return all parameters of the engine by name, without asking a server."""
    lines = (line.split("\t") for line in binaries.run("postgres", "--describe-config").splitlines())
    own = {
        name: Parameter(name, context == "postmaster", kind.lower(), default, lowest, highest, text)
        for name, context, _, kind, default, lowest, highest, text, *_ in lines
        if context != "internal"
    }
    return own | {
        name: Parameter(
            name, static=True, kind="string", default=value, lowest="", highest="", description="RDS's own"
        )
        for name, value in RDS_PARAMETERS.items()
    }


def family(binaries: Binaries) -> str:
    return f"postgres{binaries.major}"


def find(state: State, region: str, name: str) -> ParameterGroup:
    """Return the group; the default one is always there.

    Raises:
        RdsError: no such group.
    """
    default = f"default.{family(state.binaries)}"
    if name.lower() == default:
        return ParameterGroup(
            region=region,
            identifier=default,
            family=family(state.binaries),
            description=f"Default parameter group for {family(state.binaries)}",
        )
    group = state.parameter_groups.get(region, name.lower())
    if group is None:
        raise RdsError("DBParameterGroupNotFound", f"DBParameterGroup not found: {name}")
    return group


def settings(state: State, instance: Instance) -> dict[str, str]:
    """Return what PostgreSQL is started with, from the instance's parameter group."""
    group = find(state, instance.region, instance.configuration.DBParameterGroupName)
    given = {name: value for name, value in group.values.items() if not OURS.fullmatch(name)}
    return RDS_PARAMETERS | given


def create(state: State, region: str, request: Request) -> Result:
    name = listing.group_name(request, "DBParameterGroupName")
    if name.startswith("default.") or state.parameter_groups.get(region, name):
        raise RdsError("DBParameterGroupAlreadyExists", f"Parameter group {name} already exists")
    wanted = request["DBParameterGroupFamily"]
    if not re.fullmatch(r"postgres\d+", wanted):
        raise RdsError(
            "InvalidParameterValue", f"ParameterGroupFamily {wanted} is not a valid parameter group family"
        )
    group = ParameterGroup(
        region=region,
        identifier=name,
        family=wanted,
        description=request["Description"],
        tags=listing.given_tags(request),
    )
    return {"DBParameterGroup": _shown(state, state.parameter_groups.put(group))}


def describe(state: State, region: str, request: Request) -> Result:
    name = request.get("DBParameterGroupName")
    default = find(state, region, f"default.{family(state.binaries)}")
    chosen = [find(state, region, name)] if name else [default, *state.parameter_groups.all(region)]
    return listing.page(request, "DBParameterGroups", chosen, lambda group: _shown(state, group))


def delete(state: State, region: str, request: Request) -> Result:
    group = find(state, region, request["DBParameterGroupName"])
    if group.identifier.startswith("default.") or state.attached(
        region, "DBParameterGroupName", group.identifier
    ):
        raise RdsError(
            "InvalidDBParameterGroupState",
            f"One or more database instances are still members of this parameter group {group.identifier},"
            " so the group cannot be deleted",
        )
    state.parameter_groups.remove(group)
    return {}


def modify(state: State, region: str, request: Request) -> Result:
    """ModifyDBParameterGroup. Here all takes effect by a reboot; AWS applies the dynamic and immediate at once."""
    group = find(state, region, request["DBParameterGroupName"])
    if group.identifier.startswith("default."):
        raise RdsError(
            "InvalidDBParameterGroupState",
            f"The default parameter group {group.identifier} cannot be modified",
        )
    values, methods = dict(group.values), dict(group.methods)
    for given in request["Parameters"]:
        known = _checked(state, given)
        values[known.name] = given["ParameterValue"]
        methods[known.name] = given.get("ApplyMethod", "pending-reboot")
    state.parameter_groups.put(group.model_copy(update={"values": values, "methods": methods}))
    for instance in state.attached(region, "DBParameterGroupName", group.identifier):
        state.update(instance, parameters="pending-reboot")
    return {"DBParameterGroupName": group.identifier}


def describe_parameters(state: State, region: str, request: Request) -> Result:
    group = find(state, region, request["DBParameterGroupName"])
    source = request.get("Source")
    shown = [_shown_parameter(group, parameter) for _, parameter in sorted(known(state.binaries).items())]
    chosen = [parameter for parameter in shown if source in (None, parameter["Source"])]
    return listing.page(request, "Parameters", chosen, lambda parameter: parameter)


def _checked(state: State, given: dict[str, Any]) -> Parameter:
    """Return the parameter that a request sets, after its value was found possible."""
    parameter = known(state.binaries).get(given.get("ParameterName", ""))
    if parameter is None:
        raise RdsError(
            "InvalidParameterValue", f"Could not find parameter with name: {given.get('ParameterName')}"
        )
    value = given.get("ParameterValue", "")
    if given.get("ApplyMethod") == "immediate" and parameter.static:
        raise RdsError(
            "InvalidParameterCombination",
            f"cannot use immediate apply method for static parameter: {parameter.name}",
        )
    if not _fits(parameter, value):
        allowed = f"{parameter.lowest}-{parameter.highest}" if parameter.lowest else parameter.kind
        raise RdsError(
            "InvalidParameterValue",
            f"Invalid parameter value: {value} for: {parameter.name} allowed values are: {allowed}",
        )
    return parameter


def _fits(parameter: Parameter, value: str) -> bool:
    try:
        match parameter.kind:
            case "boolean":
                return value.lower() in ("0", "1", "on", "off", "true", "false", "yes", "no")
            case "integer":
                return int(parameter.lowest) <= int(value) <= int(parameter.highest)
            case "real":
                return float(parameter.lowest) <= float(value) <= float(parameter.highest)
    except ValueError:
        return False
    return True


def _shown_parameter(group: ParameterGroup, parameter: Parameter) -> Result:
    given = group.values.get(parameter.name)
    return {
        "ParameterName": parameter.name,
        "ParameterValue": parameter.default if given is None else given,
        "Description": parameter.description,
        "Source": "engine-default" if given is None else "user",
        "ApplyType": "static" if parameter.static else "dynamic",
        "DataType": {"real": "float", "enum": "string"}.get(parameter.kind, parameter.kind),
        "IsModifiable": True,
        "ApplyMethod": group.methods.get(parameter.name, "pending-reboot"),
    }


def _shown(state: State, group: ParameterGroup) -> Result:
    return {
        "DBParameterGroupName": group.identifier,
        "DBParameterGroupFamily": group.family,
        "Description": group.description,
        "DBParameterGroupArn": state.arn("pg", group),
    }
