"""Runs `manage.py` in children of a process that has loaded the libraries already: loading them anew costs more than most commands.

`python -m tests.flows.nursery` reads one JSON object a line (arguments, environment, where output goes), forks, and answers with the
child's exit status as `subprocess` gives it. The child is a process of its own and runs `manage.py` from its first line: settings,
failpoints and every module of the house are loaded by it, from the environment that it was given.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "asyncio numpy psycopg structlog sqlite3 django.core.management django.db.models django.contrib.admin django.urls"
    " django.db.backends.sqlite3.base django.db.backends.postgresql.base"
).split()


def main() -> None:
    """Answer requests until standard input ends; in a child, run what was asked for."""
    for name in LIBRARIES:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _become(request)
            runpy.run_path("manage.py", run_name="__main__")
            return
        _, ended = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()


def _become(request: dict[str, object]) -> None:
    """Turn this child into a fresh process: its environment, arguments, folder and standard streams."""
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    os.chdir(ROOT)
    sys.argv = ["manage.py", *request["arguments"]]  # type: ignore[misc]
    for number, name in ((0, os.devnull), (1, request["out"]), (2, request["err"])):
        handle = os.open(str(name), os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)


if __name__ == "__main__":
    main()
