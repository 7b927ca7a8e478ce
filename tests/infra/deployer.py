"""Writes docs/deployer-policy.json: the policies of whoever deploys, for the account and suffix of the documents.

`python -m tests.infra.deployer`. Made of what `infra/deployer.py` says; touches the document alone.
"""

import json
from pathlib import Path

from deployer import policies
from naming import Names
from tests.infra.program import ACCOUNT, REGIONS

DOCUMENT = Path(__file__).parents[2] / "docs" / "deployer-policy.json"
CELLS = (Names("test", REGIONS[0], ACCOUNT), Names("test", REGIONS[1], ACCOUNT))


def document() -> str:
    """Return them for a database that is created and another that is adopted."""
    return json.dumps(policies(CELLS, ["shop/master"], ["billing-production"]), indent=2) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
