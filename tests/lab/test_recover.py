"""A recovery: an instance that stays, as production was, examined before it is handed over."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from pgdrill.database import Address
from pgdrill.drills import conduct, drill, recover
from pgdrill.drills.state import Drill, Step
from pgdrill.errors import NotHandedOver, NotRunnable
from pgdrill.evidence import archive
from pgdrill.evidence.record import Purpose, Trigger
from pgdrill.lab import shop
from pgdrill.lab.lab import Lab
from pgdrill.model import Verdict
from tests.lab.production import FEW, Production, environment, tick

NEW_PASSWORD = "a-new-password-for-the-master"


@pytest.fixture(scope="module")
def production(lab: Lab) -> Iterator[Production]:
    with environment(lab):
        made = Production(lab, checks=FEW)
        entry = {"username": "master", "password": NEW_PASSWORD}
        lab.client("secretsmanager").create_secret(Name="shop/master", SecretString=json.dumps(entry))
        yield made


def begin(production: Production, minute: int, *, examined: bool = True) -> Drill:
    return drill.begin(
        production.plan,
        production.database,
        production.point.id,
        now=datetime.now(UTC) + timedelta(minutes=minute),
        nonce="nonce",
        trigger=Trigger.COMMAND,
        purpose=Purpose.RECOVERY,
        examined=examined,
    )


def recovered(production: Production, minute: int, *, examined: bool = True) -> recover.HandOver:
    begun = begin(production, minute, examined=examined)
    done = conduct.run(begun, production.cell, tick, lambda *_: None)
    assert done.next is Step.DONE
    body = production.cell.store.get(recover.key("shop", done.id))
    assert body is not None
    return recover.HandOver.model_validate_json(body)


def test_a_recovered_instance_is_production_again(production: Production) -> None:
    over = recovered(production, 1)
    assert over.verdict is Verdict.PASSED
    instance = production.cell.rds.instance(over.instance)
    assert instance is not None
    assert (instance.instance_class, instance.multi_az) == ("db.t3.medium", True)
    assert (instance.retention_days, instance.deletion_protection) == (7, True)
    assert instance.security_groups == production.plan.primary.recovery.security_groups  # type: ignore[union-attr]
    assert instance.tags["PgDrillRole"] == "recovered"
    assert over.rto_seconds > 0
    master = Address(host=over.host, port=over.port, user=over.user, password=NEW_PASSWORD, dbname="shop")
    with shop.connect(master, "shop") as session:
        assert session.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
        session.execute("INSERT INTO orders VALUES (1001, 0)")
        # What the examination took to read everything, it gave back.
        assert session.execute("SELECT pg_has_role('pg_read_all_data', 'MEMBER')").fetchone() == (False,)
        assert session.execute("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'").fetchone() == (
            0,
        )


def test_nothing_of_pgdrill_deletes_a_recovered_instance(production: Production) -> None:
    over = recovered(production, 2, examined=False)
    far = datetime.now(UTC) + timedelta(days=400)
    assert conduct.reap(production.cell, far, None, tick, lambda _: None) == []
    with pytest.raises(NotRunnable):
        conduct.reap(production.cell, far, over.drill, tick, lambda _: None)
    done = conduct.run(production.begin(), production.cell, tick, lambda *_: None)
    assert done.verdict is Verdict.PASSED
    assert production.cell.rds.instance(over.instance) is not None


def test_what_did_not_pass_is_not_handed_over_until_somebody_accepts_it(production: Production) -> None:
    snapshot = production.take()
    production.lab.door.sabotage(snapshot.id, "heap-bit-flip", database="shop", table="public.orders")
    production.point = snapshot
    begun = begin(production, 3)
    with pytest.raises(NotHandedOver) as refused:
        conduct.run(begun, production.cell, tick, lambda *_: None)
    assert refused.value.exit_status == 1
    evidence = archive.load(production.cell.store, begun.id, "shop")
    assert evidence.verdict is Verdict.FAILED
    assert refused.value.message == (
        f"recovered instance '{production.plan.recovered(production.database, begun.started_at)}'"
        f" is not handed over: {evidence.verdict}: {evidence.verdict_reason}"
    )
    stays = conduct.resume(production.cell, "shop", begun.id)
    assert stays.next is Step.HAND_OVER
    done = conduct.run(stays.model_copy(update={"accepted": True}), production.cell, tick, lambda *_: None)
    assert done.next is Step.DONE


def test_an_interrupted_recovery_keeps_its_instance_and_goes_on(production: Production) -> None:
    def interrupt(drill: Drill, _: str) -> None:
        if drill.next is Step.JUDGE:
            raise KeyboardInterrupt

    begun = begin(production, 4, examined=False)
    with pytest.raises(KeyboardInterrupt):
        conduct.run(begun, production.cell, tick, interrupt)
    resumed = conduct.resume(production.cell, "shop", begun.id)
    assert resumed.next is Step.JUDGE
    assert conduct.run(resumed, production.cell, tick, lambda *_: None).next is Step.DONE
