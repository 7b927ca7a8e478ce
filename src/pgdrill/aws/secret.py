"""The only module that calls Secrets Manager: reads entries that exist already, and never makes one."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ValidationError

from pgdrill.errors import NotRunnable, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


_HINT = "check `secret` and `master_secret` of the database in the plan; pgdrill reads existing entries and never makes one"


@dataclass(frozen=True)
class Credentials:
    username: str
    password: str = field(repr=False)


class _Entry(BaseModel):
    """The shape RDS itself gives its entries; other keys (host, engine, ...) are left alone."""

    username: str
    password: str


def read(client: "SecretsManagerClient", name: str, *, replica_in: str | None = None) -> Credentials:
    """Return the credentials of an entry `{"username": ..., "password": ...}`.

    `replica_in` is the region where the entry is to be a replica of the primary region's.

    Raises:
        NotRunnable: no such entry, scheduled for deletion, not allowed, or not of that form.
        Unavailable: Secrets Manager did not answer.
    """
    try:
        text = client.get_secret_value(SecretId=name)["SecretString"]
        entry = _Entry.model_validate_json(text)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "InvalidRequestException":
            # Source: Secrets Manager API reference, GetSecretValue: what an entry answers that is marked for deletion.
            region = client.meta.region_name
            raise NotRunnable(
                f"secret {name!r} cannot be read in its present state: {code}",
                hint="if it is scheduled for deletion, bring it back:"
                f" aws secretsmanager restore-secret --secret-id {name} --region {region}",
            ) from error
        if code in {"ResourceNotFoundException", "AccessDeniedException", "DecryptionFailure"}:
            raise NotRunnable(
                f"secret {name!r} cannot be read: {code}", hint=_hint(code, replica_in)
            ) from error
        raise Unavailable(
            f"secret {name!r} cannot be read: {code}", hint="the same call may pass later"
        ) from error
    except BotoCoreError as error:
        raise Unavailable(
            f"secret {name!r} cannot be read: {type(error).__name__}",
            hint="check that Secrets Manager is reachable from here: its endpoint, AWS_ENDPOINT_URL, credentials",
        ) from error
    except (KeyError, ValidationError):
        # Without the cause: a validation error quotes its input.
        raise NotRunnable(
            f"secret {name!r} does not hold the keys username and password",
            hint='store it as JSON: {"username": "...", "password": "..."}',
        ) from None
    return Credentials(entry.username, entry.password)


def _hint(code: str, replica_in: str | None) -> str:
    if replica_in is None or code != "ResourceNotFoundException":
        return _HINT
    return f"replicate the entry to {replica_in}, with ReplicateSecretToRegions in the primary region"
