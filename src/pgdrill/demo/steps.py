"""A step of the demo as it is shown: while it lasts, and with the time it took. Writes to the console alone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.text import Text


@contextmanager
def step(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """Show a step while it lasts, and the time it took. Yields what says how far it is, for a live terminal."""
    began = time.monotonic()
    if console.is_terminal:
        with console.status(escape(title), spinner="line") as status:
            yield lambda text: status.update(Text(f"{title}: {text}", no_wrap=True, overflow="ellipsis"))
    else:
        console.print(f"... {title}", markup=False, soft_wrap=True)
        yield lambda _: None
    console.print(f"{time.monotonic() - began:6.1f} s  {title}", markup=False, soft_wrap=True)
