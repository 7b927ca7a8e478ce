"""Everything that can carry tags carries them; what cannot stands here with the reason."""

from tests.infra.program import SETTINGS, Run

REQUIRED = {**SETTINGS["tags"], "EnvironmentSuffix": "test", "ManagedBy": "pgdrill"}
PART = "a part of what it belongs to, which is tagged"
# Source: the resources' arguments in pulumi-aws 7.51; the APIs have no tags of these either.
UNTAGGABLE = {
    "aws:cloudwatch/dashboard:Dashboard": "CloudWatch tags no dashboards",
    "aws:cloudwatch/eventTarget:EventTarget": PART,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": PART,
    "aws:iam/rolePolicy:RolePolicy": PART,
    "aws:kms/alias:Alias": "a name for a key, which is tagged",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": PART,
    "aws:s3/bucketLogging:BucketLogging": PART,
    "aws:s3/bucketPolicy:BucketPolicy": PART,
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": PART,
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": PART,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": PART,
    "aws:s3/bucketVersioning:BucketVersioning": PART,
    "aws:scheduler/schedule:Schedule": "its group is tagged; Scheduler tags groups alone",
    "aws:servicequotas/serviceQuota:ServiceQuota": "a limit of the account, not a thing",
    "aws:sns/topicPolicy:TopicPolicy": PART,
    "aws:sns/topicSubscription:TopicSubscription": PART,
    "aws:sqs/queuePolicy:QueuePolicy": PART,
}


def test_everything_that_can_carries_the_tags(whole: Run) -> None:
    bare = {
        one.typ: one.name
        for one in whole.managed()
        if one.typ not in UNTAGGABLE and not REQUIRED.items() <= one.inputs.get("tags", {}).items()
    }
    assert bare == {}


def test_what_stands_as_untaggable_is_there_and_bare(whole: Run) -> None:
    bare = {one.typ for one in whole.managed() if "tags" not in one.inputs}
    assert bare == set(UNTAGGABLE)


def test_no_tag_is_longer_than_aws_takes(whole: Run) -> None:
    """S3 counts ten tags of an object."""
    tags = [one.inputs["tags"] for one in whole.managed() if "tags" in one.inputs]
    assert max(len(each) for each in tags) <= 10
    assert max(len(value) for each in tags for value in each.values()) <= 256
