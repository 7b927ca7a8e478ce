"""Doctor: is everything in place that the plan needs, in each region. Asks and reads; changes nothing.

A question is a function that returns what it found, in words. One that raises NotRunnable has found a problem;
any other error says that it could not be answered, which is never taken for well.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from pgdrill.aws.refusal import down
from pgdrill.aws.surroundings import Surroundings
from pgdrill.cell import Cell
from pgdrill.doctor import databases, regions
from pgdrill.doctor.patient import Answer, Patient, Question, Status
from pgdrill.errors import DrillError, NotRunnable, Unavailable
from pgdrill.model import Clock
from pgdrill.plan import DatabasePlan


def examine(cells: Iterable[Cell], asked: Sequence[DatabasePlan], clock: Clock) -> Iterator[Answer]:
    """Yield the answer to every question, region after region, as it comes.

    The first service of a region that is down is asked as patiently as ever, and nothing after it: a lost region
    would take minutes to say the same of each.
    """
    for cell in cells:
        patient = Patient(cell, Surroundings(cache(cell.client)), clock)
        instead: Question | None = None
        for name, question, named in _questions(patient, asked):
            given = answer(name, instead or question, patient._replace(named=named))
            if given.down:
                instead = _not_asked(name)
            yield given


def _questions(
    patient: Patient, asked: Sequence[DatabasePlan]
) -> Iterator[tuple[str, Question, DatabasePlan | None]]:
    for name, question in regions.QUESTIONS.items():
        yield name, question, None
    questions = databases.QUESTIONS | (databases.OF_PRODUCTION if patient.primary else {})
    for database in asked:
        for name, question in questions.items():
            yield name, question, database


def _not_asked(first: str) -> Question:
    def question(patient: Patient) -> str:
        raise Unavailable(
            f"not asked, since a service in {patient.cell.place.region} does not answer",
            hint=f"see the answer about {first}",
        )

    return question


def answer(name: str, question: Question, patient: Patient) -> Answer:
    said, hint, is_down = Status.OK, "", False
    try:
        value = question(patient)
    except DrillError as error:
        is_down = down(error.__cause__)
        said = Status.PROBLEM if isinstance(error, NotRunnable) and not is_down else Status.UNKNOWN
        value, hint = error.message, error.hint
    return Answer(
        region=patient.cell.place.region,
        database=patient.named.name if patient.named else None,
        question=name,
        status=said,
        value=value,
        hint=hint,
        down=is_down,
    )


def exit_status(answers: Iterable[Answer]) -> int:
    """Return 0 where all is well, 1 where there is a problem, 3 where something could not be found out."""
    given = {answer.status for answer in answers}
    return 1 if Status.PROBLEM in given else 3 if Status.UNKNOWN in given else 0
