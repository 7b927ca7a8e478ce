"""One role for each function and each service, with one policy in it and one service that may take it."""

import pulumi
import pulumi_aws as aws

from naming import Names
from policies import Document, rendered
from settings import Settings
from tagging import tags


class Role(pulumi.ComponentResource):
    """A role. `arn` is known once the role may do what it is for, so whoever uses it need not wait for more."""

    arn: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        names: Names,
        thing: str,
        *,
        purpose: str,
        trust: Document,
        policy: pulumi.Output[Document],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("pgdrill:cell:Role", name, None, opts)
        inside = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            name,
            name=names.role(thing),
            description=purpose,
            assume_role_policy=rendered(trust),
            tags=tags(settings, names.role(thing)),
            opts=inside,
        )
        allowed = aws.iam.RolePolicy(
            name, name="does", role=role.name, policy=policy.apply(rendered), opts=inside
        )
        self.arn = pulumi.Output.all(role.arn, allowed.id).apply(lambda known: str(known[0]))
        self.register_outputs({"arn": self.arn})
