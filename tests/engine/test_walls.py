"""Which walls stand around strategies is entered by the engine and told on the page of its health."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from signalist.clock import SystemClock
from signalist.engine.strategies import walls_here
from signalist.execution import engines
from signalist.execution.health import engine_health


@pytest.mark.django_db
def test_the_health_names_the_level_of_the_engine_with_the_fewest_walls() -> None:
    engine = engines.register(SystemClock())
    assert engine_health().sandbox is None
    level, refusal = walls_here()
    engines.sandboxed(engine, level=level, refusal=refusal)
    told = engine_health().sandbox
    assert told is not None
    assert (told.level in ("filters", "namespaces")) == (not told.refusal)
    engines.sandboxed(engine, level="weak", refusal="This machine cannot hold a stranger's code: it lacks seccomp.")
    told = engine_health().sandbox
    assert told is not None
    assert told.words == "This machine cannot hold a stranger's code: it lacks seccomp."


def test_the_walls_are_tried_from_inside(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sandbox_check", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["strangers"]
    assert {"no_new_privs", "seccomp", "landlock", "rlimits"} <= set(told["walls"])
    assert len(told["tried"]) == 8
    assert all(attempt["held"] for attempt in told["tried"])
