"""Doctor: is everything in place that the plan needs, in each region. Asks and reads; changes nothing.

A question is a function that returns what it found, in words. One that raises NotRunnable has found a problem;
any other error says that it could not be answered, which is never taken for well.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from pgdrill.aws.surroundings import Surroundings
from pgdrill.cell import Cell
from pgdrill.doctor import databases, regions
from pgdrill.doctor.patient import Answer, Patient, Question, Status
from pgdrill.errors import DrillError, NotRunnable
from pgdrill.model import Clock
from pgdrill.plan import DatabasePlan


def examine(cells: Iterable[Cell], asked: Sequence[DatabasePlan], clock: Clock) -> Iterator[Answer]:
    """Yield the answer to every question, region after region, as it comes."""
    for cell in cells:
        around = Surroundings(cache(cell.client))
        patient = Patient(cell, around, clock)
        for name, question in regions.QUESTIONS.items():
            yield answer(name, question, patient)
        questions = databases.QUESTIONS | (databases.OF_PRODUCTION if patient.primary else {})
        for database in asked:
            for name, question in questions.items():
                yield answer(name, question, patient._replace(named=database))


def answer(name: str, question: Question, patient: Patient) -> Answer:
    said, hint = Status.OK, ""
    try:
        value = question(patient)
    except DrillError as error:
        said = Status.PROBLEM if isinstance(error, NotRunnable) else Status.UNKNOWN
        value, hint = error.message, error.hint
    return Answer(
        region=patient.cell.place.region,
        database=patient.named.name if patient.named else None,
        question=name,
        status=said,
        value=value,
        hint=hint,
    )


def exit_status(answers: Iterable[Answer]) -> int:
    """Return 0 where all is well, 1 where there is a problem, 3 where something could not be found out."""
    given = {answer.status for answer in answers}
    return 1 if Status.PROBLEM in given else 3 if Status.UNKNOWN in given else 0
