"""What the engine gives to runs: its own numbers, so that what is measured beside it is measured with the same."""

from __future__ import annotations

RUN_THREADS = 2
"""How many runs an engine makes at the same time."""
RUN_SECONDS = 5.0
"""How long a run may take."""
