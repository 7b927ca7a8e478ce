"""The lab's commands are there without the lab's own dependencies, and say what is missing."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pgdrill.cli import lab as cli
from pgdrill.cli import lab_context
from pgdrill.errors import NotRunnable


def test_without_the_extra_the_lab_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def find(name: str, *_: Any) -> object:
        return None if name in {"ministack", "psutil"} else object()

    monkeypatch.setattr(importlib.util, "find_spec", find)
    message = "the lab needs ministack, psutil, not installed here"
    with pytest.raises(NotRunnable, match=f"^{message}$") as raised:
        lab_context.open_lab(tmp_path)
    assert raised.value.hint == "pip install 'pgdrill[lab]'"


def test_the_commands_load_without_the_extra() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('ministack', 'psutil', 'cryptography'))); "
        "import importlib.util as u; s = u.spec_from_file_location('lab', sys.argv[1]); "
        "s.loader.exec_module(u.module_from_spec(s))"
    )
    subprocess.run([sys.executable, "-c", code, str(cli.__file__)], check=True)
