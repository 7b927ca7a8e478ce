"""CloudWatch: dashboards, which have neither tags nor a region."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted


def _put(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some("dashboardName", "dashboardBody")
    wanted.call("cloudwatch", "put_dashboard", given)
    name = str(given["dashboardName"])
    found = wanted.call("cloudwatch", "get_dashboard", DashboardName=name)
    return name, {"dashboardArn": found["DashboardArn"]}


def _update(wanted: Wanted, _: Made) -> Outputs:
    return _put(wanted)[1]


def _delete(aws: Aws, made: Made) -> None:
    aws.client("cloudwatch").delete_dashboards(DashboardNames=[made.id])


ENTRIES = (
    Entry(
        "aws:cloudwatch/dashboard:Dashboard",
        _put,
        _delete,
        _update,
        frozenset({"dashboardName"}),
    ),
)
