from pgdrill.checks.side_effects import CHECK, Effect, SideEffectsFact
from pgdrill.model import Judgement, Verdict
from pgdrill.plan import Allowed, Checks
from tests.unit.checks.cases import by_itself


def judged(
    *effects: Effect,
    jobs: int | None = None,
    preloaded: tuple[str, ...] | None = (),
    allowed: tuple[str, ...] = (),
) -> Judgement:
    fact = SideEffectsFact(
        databases={"shop": effects}, jobs={} if jobs is None else {"shop": jobs}, preloaded=preloaded
    )
    checks = Checks(
        allowed_side_effects=tuple(Allowed(object=one, reason="agreed with its owner") for one in allowed)
    )
    return CHECK.judge(fact, by_itself("side_effects", checks))


FEED = Effect(object="subscription feed", acts=True)


def test_a_quiet_copy_passes() -> None:
    assert judged().verdict is Verdict.PASSED


def test_what_acts_only_when_called_is_told_and_passes() -> None:
    judgement = judged(Effect(object="foreign server warehouse", acts=False))
    assert (judgement.verdict, judgement.coverage) == (
        Verdict.PASSED,
        "1 database; acts only if called: foreign server warehouse",
    )


def test_an_enabled_subscription_fails() -> None:
    judgement = judged(FEED)
    assert (judgement.verdict, judgement.reason) == (
        Verdict.FAILED,
        "subscription feed acts by itself",
    )


def test_cron_jobs_fail_where_pg_cron_is_preloaded_and_rest_where_it_is_not() -> None:
    judgement = judged(jobs=2, preloaded=("pg_stat_statements", "pg_cron"))
    assert (judgement.verdict, judgement.reason) == (
        Verdict.FAILED,
        "extension pg_cron is preloaded and has 2 active jobs",
    )
    assert judged(jobs=2).verdict is Verdict.PASSED
    assert judged(jobs=0, preloaded=("pg_cron",)).verdict is Verdict.PASSED


def test_jobs_that_may_not_be_read_count_as_acting() -> None:
    judgement = judged(jobs=-1, preloaded=("pg_cron",))
    assert judgement.reason == "extension pg_cron is preloaded and hides its jobs"


def test_jobs_without_knowing_what_is_preloaded_are_inconclusive() -> None:
    assert judged(jobs=2, preloaded=None).verdict is Verdict.INCONCLUSIVE
    assert judged(preloaded=None).verdict is Verdict.PASSED


def test_a_preloaded_worker_fails() -> None:
    judgement = judged(preloaded=("pg_net",))
    assert judgement.reason == "library pg_net is preloaded and has a worker of its own"


def test_what_the_plan_allows_passes_and_is_told() -> None:
    judgement = judged(FEED, allowed=("subscription feed",))
    assert (judgement.verdict, judgement.coverage) == (
        Verdict.PASSED,
        "1 database; allowed by the plan: subscription feed",
    )
    assert judged(FEED, allowed=("subscription other",)).verdict is Verdict.FAILED
