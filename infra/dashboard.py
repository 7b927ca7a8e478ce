"""The dashboard of a cell, as `pgdrill.dashboard` describes it.

Dashboards have no region: the name ends in it, and each widget says which it is about.
Source: CloudWatch User Guide, "Using Amazon CloudWatch dashboards": they are global.
"""

import pulumi
import pulumi_aws as aws

from functions import BY_NAME
from naming import Names
from pgdrill.dashboard import cloudwatch
from pgdrill.dashboard.cell import Cell
from pgdrill.dashboard.sections import board
from settings import Settings


class Dashboard(pulumi.ComponentResource):
    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        *,
        machines: tuple[str, ...],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Show one cell with these state machines. CloudWatch takes no tags for a dashboard."""
        super().__init__("pgdrill:cell:Dashboard", name, None, opts)
        primary = names.region == settings.primary.region
        shown = board(
            Cell(
                plan=settings,
                region=names.region,
                account=names.account,
                bucket=names.bucket("evidence"),
                functions={one.name: one.timeout for one in BY_NAME.values() if one.runs_in(primary=primary)},
                machines=machines,
            )
        )
        aws.cloudwatch.Dashboard(
            name,
            dashboard_name=shown.name,
            dashboard_body=cloudwatch.body(shown, names.account),
            region=names.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
