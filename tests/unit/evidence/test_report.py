"""The HTML report: whole for every kind of drill, asks for nothing from outside, lets no name take effect."""

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from pgdrill.evidence.record import Evidence, Instance, Isolation, Purpose, Summary, canonical, sha256
from pgdrill.evidence.report import DAMAGE_SHOWN, report, reproduce
from pgdrill.model import Damage, Finding, Kept, PointKind, Rpo, Rto, Stage, Verdict
from pgdrill.points import coverage
from tests.unit.evidence.drills import START, damaged, drilled, never_started, summaries, torn_down

VOID = {"meta", "br", "link"}
SVG_LEAVES = {"path", "rect", "circle", "polyline"}


class Page(HTMLParser):
    """A page taken apart; refuses what a browser would have to guess about."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_LEAVES, f"<{tag}/> does not end there in HTML"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self._open or self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\u202e"
evil = damaged(
    verdict_reason=EVIL,
    source=EVIL,
    operator=EVIL,
    coverage=EVIL,
    warnings=(EVIL,),
    reference=EVIL,
    seals=(EVIL,),
    facts={EVIL: "f" * 64},
    isolation=(Isolation(property=EVIL, expected=EVIL, observed=EVIL, ok=False),),
    instance=Instance(
        identifier=EVIL, region=EVIL, instance_class=EVIL, engine_version=EVIL, storage_gb=1, kms_key=EVIL
    ),
    rpo=Rpo(lag_of_point=None, exposure_at_start=None, worst_case=None, basis=EVIL),
    findings=(
        Finding(
            check=EVIL,
            verdict=Verdict.FAILED,
            reason=EVIL,
            hint=EVIL,
            coverage=EVIL,
            damage=(Damage(database=EVIL, object=EVIL, what=EVIL),),
            damaged=1,
        ),
    ),
)
late = drilled(
    verdict=Verdict.FAILED,
    findings=(Finding(check="rto", verdict=Verdict.FAILED, reason="usable 15.3 s, objective 10 s"),),
    rto=Rto(usable=15.3, verified=31.5, objective=10),
    rpo=Rpo(lag_of_point=1, exposure_at_start=2, worst_case=99999, basis="the point's own times"),
)
VARIETIES: dict[str, str] = {
    "passed": report(drilled(), torn_down(drilled()), summaries(6)),
    "first": report(drilled(1)),
    "failed": report(damaged(40), torn_down(damaged(40)), summaries(50)),
    "never started": report(never_started(), None, summaries(1)),
    "never requested": report(never_started(stages={})),
    "requested only": report(never_started(stages={Stage.REQUESTED: START})),
    "late": report(late, torn_down(late, gone_at=None, retained_backups=None)),
    "evil": report(evil, torn_down(evil, proof=EVIL, instance=EVIL, retained_backups=(EVIL,)), summaries(2)),
    "months long": report(
        drilled(stages=dict(drilled().stages) | {Stage.HYDRATED: START + timedelta(days=99)})
    ),
}


@pytest.fixture(name="page", params=VARIETIES.values(), ids=list(VARIETIES))
def _page(request: pytest.FixtureRequest) -> Page:
    return Page(request.param)


def test_the_page_is_well_formed(page: Page) -> None:
    assert page.html.startswith("<!doctype html>\n<html lang=")
    assert len(page.all("main")) == len(page.all("h1")) == 1


def test_nothing_runs_and_nothing_is_asked_from_outside(page: Page) -> None:
    tags = {tag for tag, _ in page.tags}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "base", "a", "use"})
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"<{tag} {name}>"
            assert name not in {"src", "href", "style", "action"}, f"<{tag} {name}={value!r}>"
    assert "url(" not in page.html
    assert "@import" not in page.html


def test_its_own_policy_forbids_all_but_its_own_style(page: Page) -> None:
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    style = re.search(r"<style>(.*?)</style>", page.html, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")


def test_every_picture_and_every_region_has_a_name_that_is_there(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        assert set(attributes.get("aria-labelledby", "").split()) <= set(ids)
    for picture in page.all("svg"):
        named = picture.get("aria-labelledby") or picture.get("aria-label")
        assert (picture.get("role") == "img" and named) or picture.get("aria-hidden") == "true"


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_no_number_is_missing_a_value(page: Page) -> None:
    assert not re.search(r"\b(None|nan|inf|Undefined)\b", page.text)
    for _, attributes in page.tags:
        assert not re.search(r"\b(None|nan|inf)\b", attributes.get("d", "") + attributes.get("points", ""))


def test_names_from_outside_are_shown_and_take_no_effect() -> None:
    page = Page(VARIETIES["evil"])
    shown = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>" + r"\x1b[31m\u202e"
    assert page.text.count(shown) >= 20
    assert "\x1b" not in page.html
    assert "\u202e" not in page.html


def test_a_passed_drill_says_what_was_restored_from_when_and_where() -> None:
    text = Page(VARIETIES["passed"]).text
    assert "Passed The snapshot restores in 15.3 s, and what comes back is whole." in text
    assert (
        "Snapshot pgdrill-lab-shop-20261122t06z , holding the data of 2026-11-22 06:00:12 UTC ,"
        " restored in ap-southeast-1 on 2026-11-22 06:05:00 UTC" in text
    )
    assert "5 of 7 drills passed" in text
    assert "production is db.r6g.xlarge: production's RTO may differ." in text


def test_times_stand_beside_their_objectives() -> None:
    text = Page(VARIETIES["passed"]).text
    assert "Usable 15.3 s under 1 % of the objective, 4 h" in text
    assert "Worst case 6 h 06 min 98 % of the objective, 6 h 15 min" in text
    assert "Usable after 15.3 s objective 4 h, met" in text
    assert "At risk at the start 5 min 30 s objective 6 h 15 min, met" in text
    assert "over" not in re.findall(r"objective, [^:.]*: (\w+)", text)


def test_a_missed_objective_is_told_in_a_word() -> None:
    text = Page(VARIETIES["late"]).text
    assert "Usable after 15.3 s objective 10 s, missed" in text
    assert "Usable 15.3 s 153 % of the objective, 10 s: over" in text
    assert "Worst case 1 d 03 h 445 % of the objective, 6 h 15 min: over" in text


def test_what_was_not_measured_is_not_called_met() -> None:
    text = Page(VARIETIES["never started"]).text
    assert "Usable after not measured objective 4 h At risk" in text
    assert "No check was run." in text
    assert re.search(r"\bmet\b", text) is None


def test_a_restore_never_requested_has_no_timeline() -> None:
    page = Page(VARIETIES["never requested"])
    assert "The restore was never requested, so there is nothing to time." in page.text
    assert "Timeline of the drill" not in page.text


def test_the_first_drill_has_no_trend() -> None:
    assert "This is the first drill of shop in the store." in Page(VARIETIES["first"]).text


def test_what_did_not_pass_comes_first_with_what_to_do_next() -> None:
    page = Page(VARIETIES["failed"])
    found = re.findall(r'<tr role="row" class="(failed|inconclusive|passed|not_asked)">\s*<td', page.html)
    assert found == ["failed", "inconclusive", *["passed"] * 8, "not_asked"]
    assert "Next: Restore an older point and drill it: pgdrill drill run --point oldest" in page.text


def test_a_long_list_of_damage_is_cut_and_says_so() -> None:
    page = Page(VARIETIES["failed"])
    assert page.text.count("item 3 points past the end of the page") == DAMAGE_SHOWN
    assert "30 of 40 shown" in page.text


def test_the_proof_of_the_teardown_is_told() -> None:
    text = Page(VARIETIES["passed"]).text
    assert (
        "gone pgdrill-lab-drill-shop was gone at 2026-11-22 06:05:37 UTC , 6 s after its deletion was asked"
        " for. Proof: DescribeDBInstances answered DBInstanceNotFound. No automated backup outlived it."
        in text
    )


@pytest.mark.parametrize(
    ("variety", "said"),
    [
        ("first", "not yet gone This report was written before the teardown."),
        (
            "late",
            "not yet gone The deletion of pgdrill-lab-drill-shop was asked for at 2026-11-22 06:05:31 UTC .",
        ),
        ("evil", "left behind Automated backups that outlived the instance:"),
    ],
)
def test_what_is_not_torn_down_is_told(variety: str, said: str) -> None:
    text = Page(VARIETIES[variety]).text
    assert said in text
    assert "No automated backup outlived it." not in text


def test_a_recovery_is_called_one_and_nobody_is_told_to_remove_what_stays() -> None:
    text = Page(report(drilled(purpose=Purpose.RECOVERY))).text
    assert "Recovery of shop" in text
    assert "Not at all: this was a recovery, and its instance stays." in text
    assert "pgdrill drill reap" not in text
    assert "Restore drill of shop" in Page(report(drilled())).text


def test_backups_that_nobody_asked_about_are_not_called_absent() -> None:
    text = Page(report(drilled(), torn_down(drilled(), retained_backups=None))).text
    assert "Whether an automated backup outlived it was not asked." in text
    assert "No automated backup outlived it." not in text


def test_drills_of_one_day_are_told_apart_by_the_hour() -> None:
    morning = summaries(7)[-1].model_copy(
        update={"drill": "before", "started_at": START - timedelta(hours=2)}
    )
    assert "04:05:00 06:05:00, this drill" in Page(report(drilled(), None, [morning])).text


def test_the_digest_in_the_report_is_that_of_the_evidence() -> None:
    assert sha256(canonical(drilled())) in Page(VARIETIES["passed"]).text


def test_the_same_records_give_the_same_page() -> None:
    assert report(drilled(), torn_down(drilled()), summaries(6)) == VARIETIES["passed"]


def test_a_drill_among_its_own_past_is_not_counted_twice() -> None:
    again = report(drilled(), None, summaries(7))
    assert "5 of 7 drills passed" in Page(again).text


@pytest.mark.parametrize(
    ("kind", "which"),
    [
        (PointKind.SNAPSHOT, "pgdrill-lab-shop-20261122t06z"),
        (PointKind.PITR, "2026-11-22T06:00:12Z"),
    ],
)
def test_the_same_drill_can_be_run_again(kind: PointKind, which: str) -> None:
    evidence: Evidence = drilled()
    evidence = drilled(point=evidence.point.model_copy(update={"kind": kind}))
    assert reproduce(evidence) == f"pgdrill drill run --database shop --point {which}"


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_reaches_the_contrast_of_wcag_aa(theme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", VARIETIES["passed"], re.DOTALL)[theme]
    colours = dict(re.findall(r"--([a-z_-]+): (#[0-9a-f]{3,6})", block))
    verdicts = ("passed", "failed", "inconclusive")
    pairs = [
        (text, ground) for text in ("ink", "soft", *verdicts, "not_asked") for ground in ("card", "paper")
    ]
    pairs += [(text, f"{verdict}-soft") for verdict in verdicts for text in ("ink", "soft", verdict)]
    weak = {pair: _contrast(colours[pair[0]], colours[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}


def test_the_ages_of_the_window_are_shown_with_the_date_of_the_drill_that_proved_them() -> None:
    pitr = drilled().point.model_copy(
        update={"kind": PointKind.PITR, "recovers_to": START - timedelta(hours=7)}
    )
    proof = drilled(7, point=pitr)
    ages = coverage.ages([Summary.of(proof)], START, timedelta(days=2))
    page = report(proof, None, (), ages)
    assert "1 of 8 ages, each of six hours, came back in a drill." in page
    assert page.count("<span>never</span>") == 7
    assert f'aria-label="passed, 2026-11-22" title="{proof.drill}"' in page
    assert page.count('aria-label="not asked"') == 7
    assert '<time datetime="2026-11-22T06:05:00+00:00">2026-11-22</time>' in page


def test_a_window_of_which_nothing_is_proved_says_how_to_begin() -> None:
    page = report(drilled(), None, (), coverage.ages([], START, timedelta(days=7)))
    assert "None yet: no drill of a moment of the window has passed." in page
    assert "<code>pgdrill drill run --database shop --point unproved</code>" in page
    assert page.count("<span>never</span>") == 28


def test_without_coverage_the_report_says_nothing_of_it() -> None:
    assert "PITR window are proved" not in report(drilled())


def test_what_the_plan_keeps_is_drawn_for_wide_and_narrow_pages() -> None:
    kept = (
        Kept(what="PITR", region="here", keep="7d", every_moment=True, days=(1,) * 7),
        Kept(what="points", region="here", keep="30d", days=(4,) * 7 + (1,) * 23),
    )
    page = Page(report(drilled(kept=kept)))
    assert "What the plan keeps" in page.text
    assert "points in here: kept for 30d, 51 at once" in page.text
    columns = [rect for rect in page.all("rect") if rect.get("class") == "kept"]
    assert len(columns) == 2 * 30
    assert len([rect for rect in page.all("rect") if rect.get("class") == "every"]) == 2


def test_evidence_without_a_plan_draws_no_retention() -> None:
    assert "What the plan keeps" not in Page(report(drilled())).text
