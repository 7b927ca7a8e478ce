"""Publishes a reply with boto3, for who runs a step in person; for functions, the state machine `publish` does it.

Only where the plan says where to: one that was written for a laptop names no bus and no topic.
"""

from collections.abc import Callable, Iterator
from functools import partial

from pgdrill.aws import bus, metrics, topics
from pgdrill.cell import Cell
from pgdrill.errors import DrillError
from pgdrill.messages import Kind, Level, Reply


def publish(cell: Cell, reply: Reply) -> tuple[DrillError, ...]:
    """Publish what there is to tell, each part whatever becomes of the others; return what was refused."""
    refused = []
    for part in _parts(cell, reply):
        try:
            part()
        except DrillError as error:
            refused.append(error)
    return tuple(refused)


def _parts(cell: Cell, reply: Reply) -> Iterator[Callable[[], None]]:
    suffix, place = cell.plan.stack.suffix, cell.place
    to = {Kind.BACKUPS: place.backups_topic, Kind.DRILLS: place.drills_topic}
    for message in reply.messages:
        topic = to[message.kind]
        if topic and message.level is not Level.NOTE:
            yield partial(topics.send, cell.client("sns"), topic, suffix, message)
    if place.bus and reply.events:
        yield partial(bus.put, cell.client("events"), place.bus, suffix, reply.events)
    if place.bus and reply.metrics:
        yield partial(metrics.put, cell.client("cloudwatch"), suffix, reply.metrics)
