"""How many examples the tests draw that state what holds for every input: a part in `make test`, all of them in `make soak`."""

from __future__ import annotations

from hypothesis import settings

# An example may take long where the machine is busy; what is found is what counts.
settings.register_profile("part", deadline=None, max_examples=40)
settings.register_profile("whole", deadline=None, max_examples=100)


def load_profile(*, whole: bool) -> None:
    """Before the tests are loaded: say which of both this run is."""
    settings.load_profile("whole" if whole else "part")


def up_to(whole: int) -> int:
    """For `settings(max_examples=…)`: as many under soak, and two fifths of them otherwise."""
    return whole if settings.get_current_profile_name() == "whole" else whole * 2 // 5
