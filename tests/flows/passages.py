"""Counts how often a command of `manage.py` passes each failpoint: `python -m tests.flows.passages OUT COMMAND…`.

The tests choose from it where to kill. The counts are written to OUT as one JSON object when the command ends, however it ends.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

from signalist import failpoints


def main(out: Path, arguments: list[str]) -> None:
    """Run the command with a counter in the place of the failpoint, which every module takes by name when it is loaded."""
    passed: Counter[str] = Counter()
    failpoints.failpoint = lambda name: passed.update([name])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(["manage.py", *arguments])
    finally:
        out.write_text(json.dumps(passed), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
