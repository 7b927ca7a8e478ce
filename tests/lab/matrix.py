"""What is found, as data: every sabotage against every check and against simpler methods. Touches no database.

The tests hold each restore against `EXPECTED`, and docs/detection.md is made of it, so neither can drift.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pgdrill.checks.registry import ALL
from pgdrill.lab import sabotage

DOCUMENT = Path(__file__).parents[2] / "docs" / "detection.md"

COUNT, AMCHECK, CHECKSUMS = "count(*)", "pg_amcheck", "pg_checksums"
SIMPLER = (COUNT, AMCHECK, CHECKSUMS)

# What damage is done to, as the checks name it.
LINES = 'shop."Order Lines"'
LINES_KEY = 'shop."Order Lines_pkey"'
LINES_INDEX = 'shop."Lines by product"'
CUSTOMERS = "shop.customers"
TOTALS = "totals-are-sums"


@dataclass(frozen=True)
class Expected:
    """What a kind of damage does to the verdicts; a check that is not named passes.

    `found` fails in the first drill of a recovery point already, `compared` from the next one on, which has another
    restore of the point to compare with; both name what the check must blame. `kept` checks are inconclusive, since
    the damage keeps them from their work. `starts` is False where PostgreSQL does not. `simpler` methods notice.
    """

    found: Mapping[str, str] = field(default_factory=dict)
    compared: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    starts: bool = True
    simpler: frozenset[str] = frozenset()

    @property
    def blamed(self) -> dict[str, str]:
        return {**self.found, **self.compared}

    def verdicts(self, *, compared: bool) -> dict[str, str]:
        """Return the verdict of every check that does not pass."""
        failed = self.blamed if compared else self.found
        return dict.fromkeys(self.kept, "inconclusive") | dict.fromkeys(failed, "failed")


def _does_not_start(*simpler: str) -> Expected:
    """`reachable` tells it; what could not be measured is never passed."""
    others = frozenset(check.name for check in ALL) - {"reachable"}
    return Expected(
        found={"reachable": "did not start"}, kept=others, starts=False, simpler=frozenset(simpler)
    )


EXPECTED: dict[str, Expected] = {
    "heap-bit-flip": Expected(
        found={"rows": LINES, "heap": LINES},
        kept=frozenset({"indexes", "constraints", "assertions"}),
        simpler=frozenset(SIMPLER),
    ),
    "heap-bit-flip-unseen": Expected(found={"assertions": TOTALS}, compared={"rows": LINES}),
    "index-bit-flip": Expected(found={"indexes": "audit.events_at"}, simpler=frozenset({AMCHECK, CHECKSUMS})),
    "toast-bit-flip": Expected(
        found={"rows": "shop.products", "heap": "shop.products (TOAST)"},
        kept=frozenset({"indexes"}),
        simpler=frozenset({AMCHECK, CHECKSUMS}),
    ),
    "truncated-file": Expected(
        found={"indexes": LINES_INDEX, "assertions": TOTALS},
        compared={"rows": LINES},
        simpler=frozenset({COUNT}),
    ),
    "zeroed-page": Expected(
        found={"indexes": LINES_INDEX, "assertions": TOTALS},
        compared={"rows": LINES},
        simpler=frozenset({COUNT}),
    ),
    "zeroed-file": Expected(
        found={"indexes": LINES_INDEX, "assertions": TOTALS},
        compared={"rows": LINES},
        simpler=frozenset({COUNT}),
    ),
    "swapped-pages": Expected(found={"indexes": LINES_KEY}, simpler=frozenset({AMCHECK})),
    "doubled-page": Expected(
        found={
            "indexes": LINES_KEY,
            "constraints": f'{LINES}: "Order Lines_pkey"',
            "assertions": TOTALS,
        },
        compared={"rows": LINES},
        simpler=frozenset({AMCHECK}),
    ),
    "lost-write": Expected(compared={"rows": CUSTOMERS}),
    "missing-commit-log": _does_not_start(COUNT, AMCHECK),
    "zeroed-commit-log": Expected(
        found={"assertions": TOTALS},
        compared={"rows": LINES},
        simpler=frozenset({COUNT}),
    ),
    "deleted-rows": Expected(
        found={"assertions": TOTALS}, compared={"rows": LINES}, simpler=frozenset({COUNT})
    ),
    "dropped-table": Expected(
        found={"catalog": LINES},
        compared={"rows": LINES},
        kept=frozenset({"assertions"}),
        simpler=frozenset({COUNT}),
    ),
    "sequence-set-back": Expected(found={"sequences": "shop.order_number"}),
    "changed-collation": Expected(
        found={
            "catalog": "collation shop.phone_book",
            "indexes": "shop.customers_name",
            "collations": "shop.customers_name",
        },
        simpler=frozenset({AMCHECK}),
    ),
    "revoked-privileges": Expected(found={"catalog": f"privileges of table {LINES}"}),
    "dropped-policy": Expected(found={"catalog": "policy own_events on audit.events"}),
    "orphaned-row": Expected(
        found={"constraints": f'{LINES}: "Order Lines_order_placed_fkey"'},
        compared={"rows": "shop.orders_other"},
        simpler=frozenset({COUNT}),
    ),
    "constraint-not-valid": Expected(
        found={"catalog": f'constraint "Order Lines_order_placed_fkey" on {LINES}'}
    ),
    "stale-snapshot": Expected(
        found={"ledger": "pgdrill.ledger", "sequences": "shop.order_number"},
        compared={"rows": "pgdrill.ledger"},
        simpler=frozenset({COUNT}),
    ),
    "foreign-snapshot": Expected(
        found={"ledger": "the ledger", "sequences": "shop.order_number"},
        compared={"rows": "pgdrill.ledger"},
        simpler=frozenset({COUNT}),
    ),
    "wal-hole": _does_not_start(COUNT, AMCHECK),
}

# Two files of tests, so that two processes share the restores.
FILES = [*EXPECTED][: [*EXPECTED].index("missing-commit-log")]
CONTENT = [*EXPECTED][len(FILES) :]

# Where amcheck is refused: whole reads under checksums and sums of keys stand in for it.
REFUSED: dict[str, Expected] = {
    "heap-bit-flip": EXPECTED["heap-bit-flip"],
    "index-bit-flip": EXPECTED["index-bit-flip"],
    "zeroed-page": replace(EXPECTED["zeroed-page"], found={"indexes": LINES_KEY, "assertions": TOTALS}),
    "doubled-page": EXPECTED["doubled-page"],
    "swapped-pages": Expected(),
}


def document() -> str:
    """Return docs/detection.md."""
    found = [check.name for check in ALL if any(check.name in one.blamed for one in _all())]
    silent = [check.name for check in ALL if check.name not in found]
    columns = ["damage", "what was done", *(f"`{check}`" for check in found), *map(_plain, SIMPLER)]
    lines = [*_HEAD, "", *_numbers(), "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for kind in sabotage.ALL:
        one = EXPECTED[kind.name]
        marks = [
            *(_mark(one, check) for check in found),
            *("●" if method in one.simpler else "-" for method in SIMPLER),
        ]
        lines.append(f"| {kind.name} | {kind.what} | {' | '.join(marks)} |")
    return "\n".join([*lines, "", *_notes(silent)]) + "\n"


def _all() -> Iterator[Expected]:
    return (EXPECTED[kind.name] for kind in sabotage.ALL)


def _mark(one: Expected, check: str) -> str:
    if check in one.found:
        return "●"
    return "◐" if check in one.compared else "○" if check in one.kept else "-"


def _plain(method: str) -> str:
    """Keep Markdown from reading a star."""
    return method.replace("*", "\\*")


def _numbers() -> list[str]:
    """Count what each way of looking finds."""
    every = [*_all()]
    first = sum(bool(one.found) for one in every)
    by_assertion = sum({*one.found} == {"assertions"} for one in every)
    again = sum(bool(one.blamed) for one in every)
    simpler = ", ".join(f"{_plain(one)} {sum(one in each.simpler for each in every)}" for one in SIMPLER)
    together = sum(bool(one.simpler) for one in every)
    return [
        f"Of {len(every)} kinds of damage the first drill of a recovery point finds {first}, {by_assertion} of them only because the plan has an assertion that notices.",
        f"A drill that can compare with another restore of the same point finds {again}, with or without an assertion.",
        f"The simpler methods find: {simpler}; all three together {together}.",
    ]


_HEAD = [
    "# What is found, and by what",
    "",
    "Every kind of damage that the [lab](lab.md) can do was done to a healthy backup of a small shop, which was then restored onto real PostgreSQL and examined by every check, as a drill does it.",
    "Beside the checks stand three simpler methods, run on the very same damage:",
    "",
    "- count(\\*): the restore starts, and every table has as many rows as a healthy restore of the same backup;",
    "- pg_amcheck: `pg_amcheck --all --heapallindexed`, as superuser;",
    "- pg_checksums: `pg_checksums --check` on the stopped server.",
    "",
    "| mark | meaning |",
    "|---|---|",
    "| ● | found, and what is damaged is named |",
    "| ◐ | found as soon as another restore of the same recovery point is there to compare with |",
    "| ○ | kept from its work by the damage: inconclusive, which is never a pass |",
    "| - | passed: silent |",
]


def _listed(found: bool) -> str:
    return ", ".join(kind for kind, one in REFUSED.items() if bool(one.blamed) is found)


def _notes(silent: list[str]) -> list[str]:
    names = ", ".join(f"`{name}`" for name in silent)
    return [
        "On the undamaged backup every check passes and no method notices anything.",
        f"None of these kinds of damage is for {names}; the tests show each of them on damage of its own.",
        f"`assertions` is one assertion here, `{TOTALS}`: an order's total is the sum of its lines.",
        "The shop was vacuumed once, as every production is: rows that a table has lost show against its indexes only on pages that are all-visible.",
        "Where PostgreSQL does not start, `reachable` tells why, and nothing else could be measured.",
        "",
        "Where amcheck is refused, `heap` reads every table whole under checksums and `indexes` sums the keys of each index; their coverage says so.",
        f"Tried there: {_listed(True)} are found as above; {_listed(False)} not at all.",
        "",
        "Made by `python -m tests.lab.matrix_methods`, which runs the simpler methods and refuses to write where they differ from `tests/lab/matrix.py`.",
        "`tests/lab/test_matrix_files.py` and `test_matrix_content.py` hold the checks' columns against real restores with every run.",
    ]
