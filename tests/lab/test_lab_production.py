"""The production that the demo leaves to play with: what is needed on the day is in both regions."""

from pgdrill.cell import Cell
from pgdrill.lab import production
from pgdrill.lab.lab import Lab
from pgdrill.plan import Plan
from tests.lab.production import clock, environment, tick


def test_the_master_users_secret_is_in_both_regions_and_the_ledgers_in_one(lab: Lab) -> None:
    with environment(lab):
        plan = Plan.load(lab.plan_path)
        cell, database = Cell.open(plan), plan.database(None)
        master = production.create(lab, cell, database.instance, tick)
        production.install_ledger(lab, plan, database, master, clock())
        assert database.master_secret is not None
        for place in (plan.primary, plan.dr):
            entry = Cell.open(plan, place).secret(database.master_secret)
            assert (entry.username, entry.password) == (master.user, master.password)
        assert cell.secret(database.secret).username != master.user
        with cell.production(database, clock()).session("postgres") as session:
            assert session.execute("SELECT 1").fetchone() == (1,)
    secrets = lab.client("secretsmanager", plan.dr.region).list_secrets()["SecretList"]
    assert [secret["Name"] for secret in secrets] == [database.master_secret]
