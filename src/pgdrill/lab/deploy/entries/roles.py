"""IAM: roles and the policies in them."""

from pgdrill.lab.deploy.aws import Aws
from pgdrill.lab.deploy.entry import Entry, Made, Outputs, Wanted, as_tags, retag


def _create_role(wanted: Wanted) -> tuple[str, Outputs]:
    wanted.later("forceDetachPolicies")
    given = wanted.some(
        "path",
        "description",
        "maxSessionDuration",
        "permissionsBoundary",
        name="RoleName",
        assumeRolePolicy="AssumeRolePolicyDocument",
    )
    role = wanted.call("iam", "create_role", given, Tags=wanted.tags())["Role"]
    return role["RoleName"], {
        "arn": role["Arn"],
        "name": role["RoleName"],
        "uniqueId": role["RoleId"],
        "createDate": role["CreateDate"].isoformat(),
    }


def _update_role(wanted: Wanted, made: Made) -> Outputs:
    role = {"RoleName": made.id}
    policy = wanted.take("assumeRolePolicy")
    if wanted.changed("assumeRolePolicy"):
        wanted.call("iam", "update_assume_role_policy", role, PolicyDocument=policy)
    if wanted.changed("description", "maxSessionDuration"):
        wanted.call("iam", "update_role", role | wanted.some("description", "maxSessionDuration"))
    added, gone = retag(wanted, made)
    if added:
        wanted.call("iam", "tag_role", role, Tags=as_tags(added))
    if gone:
        wanted.call("iam", "untag_role", role, TagKeys=gone)
    wanted.later("description", "maxSessionDuration", "forceDetachPolicies", *_FIXED)
    return {}


def _delete_role(aws: Aws, made: Made) -> None:
    aws.client("iam").delete_role(RoleName=made.id)


def _put_policy(wanted: Wanted) -> tuple[str, Outputs]:
    given = wanted.some(name="PolicyName", role="RoleName", policy="PolicyDocument")
    wanted.call("iam", "put_role_policy", given)
    return f"{given['RoleName']}:{given['PolicyName']}", {}


def _update_policy(wanted: Wanted, _: Made) -> Outputs:
    return _put_policy(wanted)[1]


def _delete_policy(aws: Aws, made: Made) -> None:
    role, _, name = made.id.partition(":")
    aws.client("iam").delete_role_policy(RoleName=role, PolicyName=name)


_FIXED = frozenset({"name", "path", "permissionsBoundary"})
ENTRIES = (
    Entry("aws:iam/role:Role", _create_role, _delete_role, _update_role, _FIXED),
    Entry(
        "aws:iam/rolePolicy:RolePolicy",
        _put_policy,
        _delete_policy,
        _update_policy,
        frozenset({"name", "role"}),
    ),
)
