"""What the lab's RDS asks of other AWS services on behalf of a request: S3, IAM and KMS."""

from typing import Any, Protocol


class Neighbours(Protocol):
    def bucket_region(self, bucket: str) -> str | None:
        """Return where a bucket lies; None where there is none of that name."""

    def trusts(self, role: str, service: str, source: str) -> bool | None:
        """Tell whether a service may take a role for what `source`, an ARN, names; None where there is no such role."""

    def key_usable(self, region: str, key: str) -> bool:
        """Tell whether a KMS key, by id, ARN or alias, is there and enabled."""

    def s3(self, region: str, role: str) -> Any:
        """Return an S3 client that may do what the role may do. Not to be called while a request is answered."""


class Nobody:
    """For an RDS that stands alone: there is no bucket and no role, and any key will do."""

    def bucket_region(self, bucket: str) -> str | None:  # noqa: ARG002 # as the protocol has it
        return None

    def trusts(self, role: str, service: str, source: str) -> bool | None:  # noqa: ARG002 # as the protocol has it
        return None

    def key_usable(self, region: str, key: str) -> bool:  # noqa: ARG002 # as the protocol has it
        return True

    def s3(self, region: str, role: str) -> Any:
        raise NotImplementedError(f"no S3 in {region} for {role}")
