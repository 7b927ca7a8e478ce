"""Every name that a deployment gives, so that each obeys its service's rules and says whose it is. Pure.

A suffix has no hyphen, so `pgdrill-<suffix>-` begins the names of one suffix alone, and a pattern made of it never
holds a thing of another's.

Source: IAM and STS quotas (role name 64); S3 bucket naming rules (63); EventBridge Scheduler API, CreateSchedule
(64); Lambda API, CreateFunction (64); Step Functions API, CreateStateMachine (80); RDS API, CreateDBInstance (63),
CreateDBSubnetGroup (255), CreateDBParameterGroup (255); KMS API, CreateAlias (256); SQS API, CreateQueue (80).
"""

from dataclasses import dataclass

from pgdrill.plan import PREFIX


@dataclass(frozen=True)
class Names:
    """The names of one region; `account` is the twelve digits."""

    suffix: str
    region: str
    account: str

    @property
    def stem(self) -> str:
        """What all names of the suffix begin with; `-` follows."""
        return f"{PREFIX}-{self.suffix}"

    def thing(self, thing: str) -> str:
        """Name what is unique in a region: functions, machines, queues, groups, buses, topics, networks."""
        return f"{self.stem}-{thing}"

    def schedule(self, job: str, database: str) -> str:
        return f"{self.stem}-{job}-{database}"

    def role(self, thing: str) -> str:
        """Name a role; IAM has no region, so the name ends in it."""
        return f"{self.stem}-{thing}-{self.region}"

    def bucket(self, thing: str) -> str:
        """Name a bucket; all accounts and regions share one room, so the name ends in both."""
        return f"{self.stem}-{thing}-{self.account}-{self.region}"

    def alias(self, thing: str) -> str:
        return f"alias/{self.stem}-{thing}"

    def function_logs(self, function: str) -> str:
        return f"/aws/lambda/{self.thing(function)}"

    def machine_logs(self, machine: str) -> str:
        """Name a state machine's log group; under this prefix no resource policy grows with the number of groups."""
        return f"/aws/vendedlogs/states/{self.thing(machine)}"

    def flow_logs(self, network: str) -> str:
        return f"/aws/vpc/{self.thing(network)}"

    def database_logs(self, instance: str) -> str:
        """Name the group that RDS itself writes an instance's PostgreSQL log to."""
        return f"/aws/rds/instance/{instance}/postgresql"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of something in this region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def secret(self, secret: str) -> str:
        """Return the ARN of an entry that there is; Secrets Manager ends it in a hyphen and six characters of its own.

        `secret` is a name, or an ARN, which is returned as it is.
        """
        return secret if secret.startswith("arn:") else f"{self.missing_secret(secret)}-??????"

    def missing_secret(self, secret: str) -> str:
        """Return what is evaluated for an entry that there is not, so that whoever asks is told just that."""
        return secret if secret.startswith("arn:") else self.arn("secretsmanager", f"secret:{secret}")

    def role_arn(self, thing: str) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.role(thing)}"

    def roles(self) -> str:
        """Return the pattern of the ARNs of all roles of this suffix and region."""
        return self.role_arn("*")

    @property
    def root(self) -> str:
        """The account itself as a principal: whoever its IAM policies allow."""
        return f"arn:aws:iam::{self.account}:root"
