"""Spreads the jobs of one measure over several sessions, for as long as the step's time lasts."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

import psycopg

from pgdrill.content.fingerprint import prepare
from pgdrill.database import Connection, Server
from pgdrill.errors import Unavailable

J = TypeVar("J")

# Seconds kept back at the end of a step: for a statement to be canceled, and what was done to be written down.
MARGIN = 5.0
SESSIONS = 8
# Pages that take longer to read than a session to open, where each is read once.
WORTH_A_SESSION = 4096


def spread(
    server: Server,
    database: str,
    jobs: deque[J],
    do: Callable[[Connection, J, bool], None],
    *,
    sessions: int,
    limit: float = float("inf"),
) -> None:
    """Let some sessions take jobs until there are none or the time is over; what is left stays in `jobs`.

    A statement gets what is left of the step, at most `limit` seconds. `do(session, job, final)` is told
    whether that is all it can ever have: then a canceled job is given up, otherwise the next step tries it
    again. A session that the server ended, as a damaged page can make it do, is replaced.

    Raises:
        Unavailable: no session could be opened.
    """

    def work() -> None:
        while jobs and server.clock.remaining() > MARGIN:
            with (
                suppress(psycopg.OperationalError),
                server.session(database, write=server.may_change) as session,
            ):
                session.execute("SET default_transaction_read_only = on")
                prepare(session)
                while not session.closed and server.clock.remaining() > MARGIN:
                    try:
                        job = jobs.popleft()
                    except IndexError:
                        return
                    seconds = min(limit, max(1.0, server.clock.remaining() - MARGIN / 2))
                    timeout = str(int(seconds * 1000))
                    session.execute("SELECT set_config('statement_timeout', %s, false)", (timeout,))
                    do(session, job, seconds >= min(limit, server.clock.budget / 2))

    before = len(jobs)
    with ThreadPoolExecutor(sessions) as pool:
        ends = [pool.submit(work) for _ in range(min(sessions, before))]
    failures = [failure for end in ends if (failure := end.exception())]
    for failure in failures:
        # Too few sessions are no failure, as long as there was one to do the work.
        if not isinstance(failure, Unavailable) or (len(failures) == len(ends) and len(jobs) == before):
            raise failure


def sessions_for(session: Connection, pages: int, *, worth: int = WORTH_A_SESSION) -> int:
    """Return half of the server's parallel workers, which follow its processors; fewer for little to do.

    `worth` is how many pages take longer to examine than a session to open.
    """
    workers = session.execute("SELECT current_setting('max_parallel_workers')::int / 2").fetchall()[0][0]
    return max(1, min(SESSIONS, int(workers), pages // worth))
