import pytest

from pgdrill.aws import secret
from pgdrill.cell import Cell
from pgdrill.errors import NotRunnable, Unavailable
from tests.unit.clients import scripted
from tests.unit.plans import plan


def test_an_entry_in_the_form_that_rds_gives_it_is_read() -> None:
    client, script = scripted("secretsmanager")
    text = '{"username": "pgdrill", "password": "p", "engine": "postgres"}'
    script.add_response("get_secret_value", {"SecretString": text}, {"SecretId": "pgdrill/shop"})
    read = secret.read(client, "pgdrill/shop")
    assert (read.username, read.password) == ("pgdrill", "p")
    assert "'p'" not in repr(read)


@pytest.mark.parametrize("text", ['{"user": "a", "password": "hunter2"}', "hunter2", '["hunter2"]'])
def test_an_entry_of_another_form_is_refused_without_quoting_it(text: str) -> None:
    client, script = scripted("secretsmanager")
    script.add_response("get_secret_value", {"SecretString": text})
    with pytest.raises(NotRunnable) as refused:
        secret.read(client, "pgdrill/shop")
    assert refused.value.message == "secret 'pgdrill/shop' does not hold the keys username and password"
    assert refused.value.hint == 'store it as JSON: {"username": "...", "password": "..."}'
    assert refused.value.__suppress_context__


def test_an_entry_that_is_not_there_is_not_made() -> None:
    client, script = scripted("secretsmanager")
    script.add_client_error("get_secret_value", "ResourceNotFoundException")
    with pytest.raises(NotRunnable) as refused:
        secret.read(client, "pgdrill/shop")
    assert refused.value.message == "secret 'pgdrill/shop' cannot be read: ResourceNotFoundException"
    assert (
        refused.value.hint
        == "check `secret` and `master_secret` of the database in the plan; pgdrill reads existing entries and never makes one"
    )


def test_an_entry_that_is_scheduled_for_deletion_does_not_come_back_by_itself() -> None:
    client, script = scripted("secretsmanager")
    script.add_client_error("get_secret_value", "InvalidRequestException", "marked for deletion")
    with pytest.raises(NotRunnable) as refused:
        secret.read(client, "pgdrill/shop")
    assert refused.value.message == (
        "secret 'pgdrill/shop' cannot be read in its present state: InvalidRequestException"
    )
    region = client.meta.region_name
    assert refused.value.hint == (
        "if it is scheduled for deletion, bring it back:"
        f" aws secretsmanager restore-secret --secret-id pgdrill/shop --region {region}"
    )


def test_a_service_that_is_down_may_answer_later() -> None:
    client, script = scripted("secretsmanager")
    script.add_client_error("get_secret_value", "InternalServiceError", http_status_code=500)
    with pytest.raises(Unavailable, match="secret 'pgdrill/shop' cannot be read: InternalServiceError"):
        secret.read(client, "pgdrill/shop")


def test_an_entry_that_was_not_replicated_is_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    client, script = scripted("secretsmanager")
    script.add_client_error("get_secret_value", "ResourceNotFoundException")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setattr(Cell, "client", lambda *_: client)
    made = plan()
    with pytest.raises(NotRunnable) as refused:
        Cell.open(made, made.dr).secret("shop/master")
    assert refused.value.message == "secret 'shop/master' cannot be read: ResourceNotFoundException"
    assert (
        refused.value.hint
        == "replicate the entry to ap-northeast-1, with ReplicateSecretToRegions in the primary region"
    )
    script.add_client_error("get_secret_value", "ResourceNotFoundException")
    with pytest.raises(NotRunnable) as refused:
        Cell.open(made).secret("shop/master")
    assert refused.value.hint.startswith("check `secret` and `master_secret`")
