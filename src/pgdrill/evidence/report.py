"""The HTML report of a drill, rendered from its evidence alone. No I/O beyond its own templates, no clock.

Self-contained: no script, no outside request; the page's own policy refuses both. Everything that comes from a
database or from RDS is escaped, and control characters are spelled out.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from pgdrill.evidence import charts, wording
from pgdrill.evidence.record import Evidence, Summary, Teardown, canonical, sha256
from pgdrill.model import Kept, PointKind, Verdict
from pgdrill.points import coverage
from pgdrill.points.coverage import Age

if TYPE_CHECKING:
    from jinja2 import Environment

DAMAGE_SHOWN = 30


def report(
    evidence: Evidence,
    teardown: Teardown | None = None,
    past: Sequence[Summary] = (),
    ages: Sequence[Age] = (),
    *,
    signed_with: str | None = None,
) -> str:
    """Render one drill. `past` are the drills of the same database before it, oldest first; `ages` the coverage.

    Without a teardown the report says that the temporary instance was not yet gone. `signed_with` is the key that
    the record's signature names, which is not looked into here.
    """
    style = _style()
    drills = [*(drill for drill in past if drill.drill != evidence.drill), Summary.of(evidence)]
    template = _environment().get_template("report.html.j2")
    return template.render(
        evidence=evidence,
        teardown=teardown,
        digest=sha256(canonical(evidence)),
        signed_with=signed_with,
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        timelines=[charts.timeline(evidence, teardown, layout) for layout in charts.TIMELINE],
        trends=[charts.trend(drills, layout) for layout in charts.TREND],
        retentions=[charts.retention(evidence.kept, layout) for layout in charts.RETENTION],
        drills=drills,
        days=coverage.days(ages),
        proved=coverage.proved(ages),
        findings=sorted(evidence.findings, key=lambda finding: wording.URGENCY.index(finding.verdict)),
        tally=[
            (verdict, sum(finding.verdict is verdict for finding in evidence.findings))
            for verdict in wording.URGENCY
        ],
        judged={finding.check: finding.verdict for finding in evidence.findings},
        reproduce=reproduce(evidence),
        damage_shown=DAMAGE_SHOWN,
    )


def retention(kept: Sequence[Kept]) -> str:
    """Draw what is kept by age as an SVG of its own, for documents."""
    pictures = _environment().get_template("pictures.svg.j2").make_module()
    drawn: str = pictures.retention(charts.retention(kept, charts.RETENTION[0]), alone=True)  # type: ignore[attr-defined]  # a macro
    return drawn.strip() + "\n"


def reproduce(evidence: Evidence) -> str:
    """Return the command that drills the same recovery point again."""
    point = evidence.point
    which = point.recovers_to.isoformat().replace("+00:00", "Z") if point.kind is PointKind.PITR else point.id
    return f"pgdrill drill run --database {evidence.database} --point {which}"


@cache
def _style() -> str:
    return resources.files("pgdrill.evidence").joinpath("templates/report.css").read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    # Here, since most functions load this module with the archive and render nothing.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("pgdrill.evidence"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: wording.visible(value) if type(value) is str else value,
    )
    environment.globals.update(Verdict=Verdict, charts=charts, wording=wording)
    for name in ("duration", "exact", "size", "number", "moment", "sentence", "capital"):
        environment.filters[name] = getattr(wording, name)
    return environment
