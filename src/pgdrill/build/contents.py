"""What goes into a function's zip, and what is left out of it. Plain data; no I/O.

A function has 250 MB unzipped, and every megabyte is fetched at a cold start; so what no handler reaches stays out:
the CLI, the lab, the models of services that no function calls, headers, tests.
"""

import re
from enum import StrEnum
from fnmatch import fnmatchcase


class Which(StrEnum):
    """The common zip is every function's but that of `confront`, which reads Parquet."""

    COMMON = "common"
    PARQUET = "parquet"


# Names as in requirements.lock. A test holds that these are what pgdrill needs in a function, and no more.
DISTRIBUTIONS: dict[Which, tuple[str, ...]] = {
    Which.COMMON: (
        "annotated-types",
        "boto3",
        "botocore",
        "jinja2",
        "jmespath",
        "markupsafe",
        "psycopg",
        "psycopg-binary",
        "pydantic",
        "pydantic-core",
        "python-dateutil",
        "s3transfer",
        "six",
        "typing-extensions",
        "typing-inspection",
        "urllib3",
    ),
}
DISTRIBUTIONS[Which.PARQUET] = (*DISTRIBUTIONS[Which.COMMON], "pyarrow")

# The services that functions call; the state machines call the others.
SERVICES = ("kms", "rds", "s3", "secretsmanager")

# Below src; what people and tests use. The bundle lies at the zip's root, and may be another.
NOT_OURS = (
    "pgdrill/aws/rds-ca.pem",
    "pgdrill/build/*",
    "pgdrill/cli/*",
    "pgdrill/compliance/*",
    "pgdrill/dashboard/*",
    "pgdrill/demo/*",
    "pgdrill/doctor/*",
    "pgdrill/evidence/terminal.py",
    "pgdrill/evidence/verification.py",
    "pgdrill/lab/*",
)

# A distribution's licence travels with it; psycopg and pydantic read their versions from METADATA.
_METADATA = re.compile(r"[^/]+\.dist-info/(METADATA|licenses/.+|LICEN[CS]E[^/]*|NOTICE[^/]*)")
_MODELS = re.compile(r"botocore/data/([^/]+)/")
_LEFT_OUT = (
    "*.pyc",
    "*.pyi",
    "*/py.typed",
    "*/tests/*",
    "boto3/data/*",
    "boto3/examples/*",
    "botocore/data/*/examples-*",
    # Of Arrow: what reads other formats and other stores, and what a compiler wants.
    "pyarrow/*.h",
    "pyarrow/*.pxd",
    "pyarrow/*.pxi",
    "pyarrow/*.pyx",
    "pyarrow/include/*",
    "pyarrow/includes/*",
    "pyarrow/src/*",
    "pyarrow/_azurefs.*",
    "pyarrow/_csv.*",
    "pyarrow/_cuda.*",
    "pyarrow/_dataset*",
    "pyarrow/_feather.*",
    "pyarrow/_flight.*",
    "pyarrow/_gcsfs.*",
    "pyarrow/_hdfs.*",
    "pyarrow/_json.*",
    "pyarrow/_orc.*",
    "pyarrow/_parquet_encryption.*",
    "pyarrow/_s3fs.*",
    "pyarrow/_substrait.*",
    "pyarrow/libarrow_flight.*",
    "pyarrow/libarrow_s3.*",
    "pyarrow/libarrow_python_flight.*",
    "pyarrow/libarrow_python_parquet_encryption.*",
    "pyarrow/_pyarrow_cpp_tests.*",
    # The same library under the two names that only a linker looks for.
    "pyarrow/libarrow_python.so",
    "pyarrow/libarrow_python.so.*.*.*",
)


def wanted(path: str) -> bool:
    """Tell whether a file of a distribution belongs into a zip; paths are relative to its root."""
    if ".dist-info/" in path:
        return _METADATA.fullmatch(path) is not None
    model = _MODELS.match(path)
    if model and model[1] not in SERVICES:
        return False
    return not any(fnmatchcase(path, pattern) for pattern in _LEFT_OUT)


def ours(path: str) -> bool:
    """Tell whether a file of pgdrill belongs into a zip; paths are relative to `src`."""
    return "__pycache__" not in path and not any(fnmatchcase(path, pattern) for pattern in NOT_OURS)
