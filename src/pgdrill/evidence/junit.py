"""JUnit XML of findings, for CI systems: one test case a check. Pure.

failed is a failure, inconclusive an error, not asked is skipped: what was not proved never counts as green.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from xml.etree import ElementTree as ET

from pgdrill.evidence.record import Evidence
from pgdrill.evidence.wording import visible
from pgdrill.model import Finding, Verdict, worst

_RESULT = {Verdict.FAILED: "failure", Verdict.INCONCLUSIVE: "error", Verdict.NOT_ASKED: "skipped"}


def drill_junit(evidence: Evidence) -> bytes:
    """Return a drill's checks; a verdict worse than all of them (no restore, RTO missed) is a case of its own."""
    findings = list(evidence.findings)
    if evidence.verdict is not worst([finding.verdict for finding in findings]) or not findings:
        seconds = (evidence.finished_at - evidence.started_at).total_seconds()
        findings.append(
            Finding(
                check="drill",
                verdict=evidence.verdict,
                reason=evidence.verdict_reason,
                seconds=max(0, seconds),
            )
        )
    about = {
        "drill": evidence.drill,
        "point": evidence.point.id,
        "rto_usable_seconds": evidence.rto.usable,
        "rpo_worst_case_seconds": evidence.rpo.worst_case,
        "pgdrill": evidence.pgdrill,
    }
    return junit(findings, suite=evidence.database, at=evidence.started_at, about=about)


def junit(
    findings: Sequence[Finding], *, suite: str, at: datetime, about: Mapping[str, object] | None = None
) -> bytes:
    """Return a document with one suite. `about` becomes its properties; None among its values is left out."""
    counts = {
        "tests": len(findings),
        "failures": sum(finding.verdict is Verdict.FAILED for finding in findings),
        "errors": sum(finding.verdict is Verdict.INCONCLUSIVE for finding in findings),
        "skipped": sum(finding.verdict is Verdict.NOT_ASKED for finding in findings),
    }
    attributes = {name: str(count) for name, count in counts.items()} | {
        "time": f"{sum(finding.seconds for finding in findings):.3f}"
    }
    root = ET.Element("testsuites", {"name": "pgdrill", **attributes})
    element = ET.SubElement(
        root,
        "testsuite",
        {"name": visible(suite), "timestamp": at.isoformat(timespec="seconds"), **attributes},
    )
    known = {name: value for name, value in (about or {}).items() if value is not None}
    if known:
        properties = ET.SubElement(element, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", {"name": name, "value": visible(str(value))})
    for finding in findings:
        _case(element, suite, finding)
    ET.indent(root)
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode()


def _case(parent: ET.Element, suite: str, finding: Finding) -> None:
    case = ET.SubElement(
        parent,
        "testcase",
        {
            "classname": visible(f"pgdrill.{suite}"),
            "name": visible(finding.check),
            "time": f"{finding.seconds:.3f}",
        },
    )
    result = _RESULT.get(finding.verdict)
    if result is None:
        return
    outcome = ET.SubElement(case, result, {"message": visible(finding.reason)})
    if result != "skipped":
        outcome.set("type", finding.verdict.value)
        lines = [f"{damage.database} {damage.object} {damage.what}" for damage in finding.damage]
        if finding.damaged > len(finding.damage):
            lines.append(f"{len(finding.damage)} of {finding.damaged} shown")
        lines += [f"coverage: {finding.coverage}"] if finding.coverage else []
        lines += [f"HINT: {finding.hint}"] if finding.hint else []
        outcome.text = "\n".join(visible(line) for line in lines)
