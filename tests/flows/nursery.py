"""Runs `manage.py` in children of a process that has loaded everything already: loading it anew costs more than most commands.

`python -m tests.flows.nursery [MODULE…]` loads these modules, too. It reads one JSON object a line (arguments, environment, where output
goes, and what to run if not `manage.py`), forks, and answers with the child's exit status as `subprocess` gives it; of a child that goes
on by itself with its process id, and with its status or null when {"ended": id} asks for it. The child is a process of its own, without an
open connection, and runs `manage.py` from its first line: the settings are read from the environment that it was given, and failpoints are
armed by it. Modules are not loaded again; whoever is about what a process loads, or in what kind of house, starts one (`commands.manage`).
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import runpy
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("numpy", "psycopg", "requests", "aiohttp", "signalist.engine.live", "signalist.engine.replay")


def main() -> None:
    """Answer requests until standard input ends; in a child, run what was asked for."""
    atexit.register(_leave)  # the first to be registered is the last to be called
    _load()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "ended" in request:
            _answer(_status(request["ended"], ended))
            continue
        child = os.fork()
        if not child:
            _become(request)
            _run(request.get("module"))
            return
        _answer(child if request["goes_on"] else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


_status_of_child: list[int] = []


def _run(module: str | None) -> None:
    """Run `manage.py`, or a module, as Python would, which says itself what an exception was, and note the status with which it ends."""
    try:
        if module is None:
            runpy.run_path("manage.py", run_name="__main__")
        else:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        _status_of_child.append(end.code if isinstance(end.code, int) else int(end.code is not None))
        raise
    except Exception:
        _status_of_child.append(1)
        raise
    _status_of_child.append(0)


def _leave() -> None:
    """Leave at once, when threads have ended and all that wanted to be called was: giving back object by object what the whole house has
    loaded takes longer than most commands."""
    if _status_of_child:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # closed, or nobody reads any more
                stream.flush()
        os._exit(_status_of_child[0])


def _answer(said: int | None) -> None:
    sys.stdout.write(f"{json.dumps(said)}\n")
    sys.stdout.flush()


def _status(child: int, ended: dict[int, int]) -> int | None:
    """How a child that goes on by itself has ended, as often as it is asked for."""
    if child not in ended:
        found, status = os.waitpid(child, os.WNOHANG)
        if not found:
            return None
        ended[child] = os.waitstatus_to_exitcode(status)
    return ended[child]


def _load() -> None:
    """Load the house and what its checks look at; what is there now is nobody's to collect in a child."""
    import django
    from django.core import checks

    from signalist.engine import garbage

    os.environ["DJANGO_SETTINGS_MODULE"] = "signalist.settings"
    django.setup()
    for name in (*LIBRARIES, *sys.argv[1:]):
        importlib.import_module(name)
    checks.run_checks()
    _forget()
    garbage.look_seldom()


def _forget() -> None:
    """Have nothing left of settings, connections and templates: whoever asks for them next reads the environment."""
    from asgiref.local import Local
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connections
    from django.template import engines
    from django.urls import clear_url_caches
    from django.utils.functional import empty

    connections.close_all()
    for handler in (connections, caches):
        handler.__dict__.pop("settings", None)
        handler._settings, handler._connections = None, Local(handler.thread_critical)
    engines.__dict__.pop("templates", None)
    engines._templates, engines._engines = None, {}
    clear_url_caches()
    settings._wrapped = empty
    sys.modules.pop("signalist.settings", None)


def _become(request: dict[str, object]) -> None:
    """Turn this child into a fresh process: its environment, arguments, folder and standard streams."""
    os.environ.clear()
    os.environ.update(request["environment"])  # type: ignore[call-overload]
    importlib.reload(sys.modules["signalist.failpoints"])
    os.chdir(ROOT)
    sys.argv = ["manage.py", *request["arguments"]]  # type: ignore[misc]
    os.dup2(2, 1)  # where nothing else is said: the other one is for answers
    for number, name in ((0, request.get("in", os.devnull)), (1, request["out"]), (2, request["err"])):
        if name is None:
            continue
        handle = os.open(str(name), os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(handle, number)
        os.close(handle)


if __name__ == "__main__":
    main()
