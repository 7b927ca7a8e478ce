"""A Pulumi program runs against the lab in a process of its own; what it does wrong is told as one clear error."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pgdrill.errors import Broken, DrillError, NotRunnable, PlanError
from pgdrill.lab.deploy.deploy import PROGRAM, deploy, destroy, directory, settings
from pgdrill.lab.deploy.deployment import OUTPUTS, Deployment
from pgdrill.lab.lab import Lab
from tests.lab.labs import MakeLab, heed_interrupts

TOY = """
import json

import pulumi
import pulumi_aws as aws

plan = pulumi.Config("pgdrill").require_object("plan")
account = aws.get_caller_identity().account_id
secret = aws.secretsmanager.get_secret_version(secret_id="shop/master", region="ap-southeast-1")
trust = json.dumps({"Version": "2012-10-17", "Statement": []})
role = aws.iam.Role("role", name="toy", assume_role_policy=trust, description=pulumi.Output.secret("hush"))
allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
policy = aws.iam.RolePolicy("policy", role=role.name, policy=json.dumps(allowed), name="p", opts=pulumi.ResourceOptions(parent=role))
bucket = aws.s3.Bucket("bucket", bucket="toy-bucket", region="ap-northeast-1", force_destroy=True)
text = aws.s3.BucketObjectv2(
    "text", bucket=bucket.bucket, key="a/text", content=secret.secret_string, region="ap-northeast-1"
)
pulumi.export("role", role.arn)
pulumi.export("account", account)
pulumi.export("region", bucket.region)
"""


MOST = 300
MANY = f"""
import pulumi_aws as aws

for number in range({MOST}):
    aws.sns.Topic(f"topic-{{number}}", name=f"many-{{number}}")
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "toy" / "__main__.py"
    path.parent.mkdir()
    path.write_text(TOY, encoding="utf-8")
    return path


def test_a_program_is_deployed_changed_and_destroyed(lab: Lab, program: Path) -> None:
    said: list[str] = []
    done = deploy(lab, program=program, progress=said.append)
    assert done.counts["created"] == done.resources == 4
    assert done.outputs == {
        "role": "arn:aws:iam::000000000000:role/toy",
        "account": "000000000000",
        "region": "ap-northeast-1",
    }
    assert sorted(said) == [f"creating {name}" for name in ("bucket", "policy", "role", "text")]
    assert json.loads((lab.directory / OUTPUTS).read_bytes()) == done.outputs
    tokyo = lab.client("s3", "ap-northeast-1")
    assert tokyo.get_bucket_location(Bucket="toy-bucket")["LocationConstraint"] == "ap-northeast-1"

    told = (lab.directory / "deployment.json").read_text(encoding="utf-8")
    assert "hush" not in told
    assert [one.name for one in Deployment.read(lab.directory).resources][-1] in {"policy", "text"}

    program.write_text(TOY.replace('key="a/text"', 'key="b/text"'), encoding="utf-8")
    assert deploy(lab, program=program).counts["replaced"] == 1
    assert [one["Key"] for one in tokyo.list_objects_v2(Bucket="toy-bucket")["Contents"]] == ["b/text"]

    tokyo.put_object(Bucket="toy-bucket", Key="by-hand", Body=b"left")
    assert destroy(lab).counts["deleted"] == 4
    assert not (lab.directory / OUTPUTS).exists()
    assert "toy-bucket" not in {one["Name"] for one in lab.client("s3").list_buckets()["Buckets"]}


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        ("raise ValueError('no')", Broken, "the Pulumi program failed: ValueError: no"),
        (
            "aws.ec2.InternetGateway('way-out')",
            NotRunnable,
            "the lab does not know resources of type aws:ec2/internetGateway:InternetGateway ('way-out')",
        ),
        (
            "aws.ec2.get_vpcs()",
            NotRunnable,
            "the lab does not answer aws:ec2/getVpcs:getVpcs",
        ),
        (
            "aws.get_availability_zones(all_availability_zones=True)",
            NotRunnable,
            (
                "the lab does not know argument 'allAvailabilityZones' of"
                " aws:index/getAvailabilityZones:getAvailabilityZones"
            ),
        ),
    ],
)
def test_what_a_program_does_wrong_is_told(
    lab: Lab, program: Path, line: str, kind: type[DrillError], message: str
) -> None:
    program.write_text(f"import pulumi_aws as aws\n{line}\n", encoding="utf-8")
    with pytest.raises(kind) as caught:
        deploy(lab, program=program)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("aliases=[pulumi.Alias(name='old')]", "aliases"),
        ("aliases=['urn:pulumi:lab::pgdrill::aws:sns/topic:Topic::old']", "aliases"),
        ("import_='toy'", "import_"),
        ("replace_on_changes=['tags']", "replace_on_changes"),
        ("deleted_with=other", "deleted_with"),
    ],
)
def test_an_option_that_the_lab_does_not_serve_is_refused(
    lab: Lab, program: Path, option: str, name: str
) -> None:
    program.write_text(
        "import pulumi\nimport pulumi_aws as aws\nother = aws.sns.Topic('other', name='other')\n"
        f"aws.sns.Topic('toy', name='toy', opts=pulumi.ResourceOptions({option}))\n",
        encoding="utf-8",
    )
    with pytest.raises(NotRunnable) as caught:
        deploy(lab, program=program)
    assert (caught.value.message, caught.value.hint) == (
        f"the lab does not serve the option {name!r} of aws:sns/topic:Topic ('toy')",
        "leave it out, or serve it in src/pgdrill/lab/deploy",
    )
    destroy(lab)
    assert lab.client("sns").list_topics()["Topics"] == []


def test_what_is_retained_stays_when_it_is_replaced(lab: Lab, program: Path) -> None:
    text = TOY.replace('region="ap-northeast-1"\n)', 'region="ap-northeast-1", opts=RETAIN\n)')
    toy = text.replace("plan =", "RETAIN = pulumi.ResourceOptions(retain_on_delete=True)\nplan =")
    program.write_text(toy, encoding="utf-8")
    deploy(lab, program=program)
    program.write_text(toy.replace('key="a/text"', 'key="b/text"'), encoding="utf-8")
    assert deploy(lab, program=program).counts["replaced"] == 1
    listed = lab.client("s3", "ap-northeast-1").list_objects_v2(Bucket="toy-bucket")
    assert [one["Key"] for one in listed["Contents"]] == ["a/text", "b/text"]
    assert destroy(lab).counts["deleted"] == 3


def test_wrong_settings_are_told_with_key_and_remedy(lab: Lab) -> None:
    with pytest.raises(PlanError) as caught:
        deploy(lab, settings() | {"drill": {"instance_class": "db.r6g.large"}})
    assert caught.value.message == (
        "pgdrill:plan is not valid: drill: instance_class 'db.r6g.large' is larger than db.t3.medium,"
        " the largest allowed"
    )
    assert Deployment.read(lab.directory).resources == ()


def test_a_program_that_is_not_there_is_told(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(NotRunnable, match=r"^no Pulumi program at "):
        deploy(lab, program=tmp_path / "none.py")
    assert PROGRAM.is_file()


def test_without_a_lab_nothing_is_deployed(make_lab: MakeLab) -> None:
    with pytest.raises(NotRunnable, match=r"^no lab runs in "):
        deploy(make_lab())


def run(lab: Lab, *words: str) -> tuple[int, str]:
    """Run a command of the lab as a person does; return its status and what it printed."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pgdrill")), "lab", *words, "--directory", str(lab.directory)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_COLOR": "1"},
    )
    return done.returncode, done.stdout if "--json" in words else done.stderr


def test_the_commands_tell_what_they_did(lab: Lab, program: Path) -> None:
    status, told = run(lab, "deploy", "--program", str(program), "--stack", "toy", "--json")
    assert (status, json.loads(told)["counts"]["created"]) == (0, 4)
    status, told = run(lab, "deploy", "--program", str(program), "--stack", "toy")
    assert status == 0
    assert "4 kept; 4 resources are there" in told
    assert told.startswith(
        "warning: this lab enforces no policies and records no calls, so a right that is missing is not found\n"
        "HINT: pgdrill lab down, then: pgdrill lab up --auth\n"
    )
    assert str(directory(lab, "toy") / OUTPUTS) in told
    status, told = run(lab, "destroy", "--stack", "toy")
    assert status == 0
    assert "4 deleted; 0 resources are there" in told


def test_a_stack_that_was_never_deployed_is_not_destroyed(lab: Lab, program: Path) -> None:
    deploy(lab, program=program, stack="toy")
    with pytest.raises(NotRunnable) as refused:
        destroy(lab, stack="nope")
    destroy(lab, stack="toy")
    assert refused.value.message == f"no stack 'nope' was ever deployed in {str(lab.directory)!r}"
    assert refused.value.hint.startswith("those that were: ")
    assert "toy" in refused.value.hint.removeprefix("those that were: ").split(", ")
    assert not directory(lab, "nope").exists()
    assert destroy(lab, stack="toy").counts["deleted"] == 0


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_deployment_says_what_is_there_and_goes_on(
    lab: Lab, tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    many = tmp_path / "many" / "__main__.py"
    many.parent.mkdir()
    many.write_text(MANY, encoding="utf-8")
    words = ["deploy", "--program", str(many), "--stack", "many", "--directory", str(lab.directory)]
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("pgdrill")), "lab", *words],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NO_COLOR": "1"},
        preexec_fn=heed_interrupts,  # noqa: PLW1509 # no other thread of the tests is at work meanwhile
    ) as process:
        assert process.stderr is not None
        told = [next(line for line in process.stderr if line.startswith("... running"))]
        told.append(process.stderr.readline())
        process.send_signal(sent)
        told += process.stderr.readlines()
    assert process.returncode == status
    assert told[0] == "... running the Pulumi program\n"
    assert told[1].startswith("... creating 1: ")
    there = len(lab.client("sns").list_topics()["Topics"])
    assert 0 < there < MOST
    assert told[-2:] == [
        f"interrupted: {there} resources are there\n",
        "HINT: run it again to go on, or: pgdrill lab destroy\n",
    ]
    done = deploy(lab, program=many, stack="many")
    assert (done.counts["kept"], done.resources) == (there, MOST)
    destroy(lab, stack="many")
    assert lab.client("sns").list_topics()["Topics"] == []


def test_settings_that_cannot_be_read_are_told(lab: Lab, tmp_path: Path) -> None:
    settings_path = tmp_path / "settings.toml"
    settings_path.write_text("[stack\n", encoding="utf-8")
    status, told = run(lab, "deploy", "--settings", str(settings_path))
    assert status == 2
    assert f"settings {str(settings_path)!r} cannot be read" in told.replace("\n", "")
