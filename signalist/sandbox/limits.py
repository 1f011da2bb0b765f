"""What runs are given: the same at the gate, in processes that are kept and in the engine, so that none can tell where it is run by what
it is given, and what passes the gate does not fail live."""

from __future__ import annotations

RUN_THREADS = 2
"""How many runs an engine makes at the same time."""
RUN_SECONDS = 5.0
"""How long a run at a candle's close may take."""
RUN_MEMORY = 1 << 29
"""Bytes beyond what Python and numpy take."""
RUN_OUTPUT = 1 << 20
"""Bytes that may be printed in one call."""
PROCESSOR_SECONDS = 40.0
"""Processor time of a process, which its kernel counts, beside the wall seconds that its parent waits: enough for a run over thousands of
candles, as the gate makes them, and then for some more in a process that is kept. The same in every process, and so it is no sign."""
