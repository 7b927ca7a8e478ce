"""The policy linter, an independent reader of policies."""

import json
import warnings

from policies import Document
from policies_of_functions import WIDE
from policies_of_services import PATTERNS

with warnings.catch_warnings():
    # When it is imported it opens its data and closes none of it, and its patterns are no raw strings.
    warnings.simplefilter("ignore")
    import parliament  # type: ignore[import-untyped] # it ships no types

# What the linter says, and why it stands. It knows an older list of condition keys than AWS documents.
EXPLAINED = {
    "lambda:SourceFunctionArn": "a key of every call made with a function's credentials, so of no service's own list;"
    " Lambda Developer Guide, 'Giving Lambda functions access to resources in an Amazon VPC'",
    "logs:DescribeLogGroups": "evaluated on log-group:* of the account, which the linter does not know yet; Service"
    " Authorization Reference, Amazon CloudWatch Logs",
    "rds:PubliclyAccessible": "newer than the linter; Service Authorization Reference, Amazon RDS, restore actions",
    "ec2:CreateNetworkInterface": WIDE["Interfaces"],
    "s3:GetObjectAttributes": f"of access points too, which the archive has none of; {PATTERNS['s3:GetObject*']}",
}


def findings(policy: Document) -> list[str]:
    """Return what is found, each with its kind and detail."""
    found = parliament.analyze_policy_string(json.dumps(policy)).findings
    return [f"{one.issue}: {json.dumps(one.detail, default=str)}" for one in found]
