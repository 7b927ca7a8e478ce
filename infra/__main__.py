"""The Pulumi program: reads the settings, makes both regions' ground, then a cell on each.

`pulumi up` runs it against AWS, `pgdrill lab deploy` against a lab. What it makes follows from the settings alone.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import pulumi
import pulumi_aws as aws

import settings as configuration
from cell import Cell
from chats import Chats
from functions import Zip
from ground import grounds
from outputs import outputs
from pgdrill.build import zips

settings = configuration.load(pulumi.Config("pgdrill").require_object(configuration.KEY))
# A plan that cannot work is an error of the preview.
now = datetime.now(UTC)
configuration.hold(settings, now)
account = aws.get_caller_identity().account_id
bundle = Path(settings.ca_bundle) if settings.ca_bundle else zips.BUNDLE
# Deployments that go on at once, with other certificates, each have a place of their own.
place = Path(os.environ.get("PGDRILL_DIST") or Path(__file__).parents[1] / "dist")
packages = {kind: zips.build(place, platform=settings.platform, ca_bundle=bundle, which=kind) for kind in Zip}
both = grounds(settings, account)
cells = {
    which: Cell(which, settings, both, ground, packages, now)
    for which, ground in (("primary", both.primary), ("dr", both.dr))
}
if settings.notify.chats:
    Chats(
        "chats",
        settings,
        both.primary.names,
        [topic for cell in cells.values() for topic in cell.topics.by_kind.values()],
    )
for name, value in outputs(settings, account, both, cells).items():
    pulumi.export(name, value)
