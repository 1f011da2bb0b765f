"""The linter's rules about time: every way to the machine's clock is refused, outside the one module that reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _banned(code: str, path: str) -> bool:
    answer = subprocess.run(
        [
            str(Path(sys.executable).parent / "ruff"),
            "check",
            "--no-cache",
            "--select",
            "TID251",
            "--stdin-filename",
            path,
            "-",
        ],
        input=code,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return "TID251" in answer.stdout


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime\ndatetime.now()",
        "import datetime as dt\ndt.datetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import time\ntime.time()",
        "from time import monotonic\nmonotonic()",
        "import time\ntime.perf_counter_ns()",
        "from django.utils import timezone\ntimezone.now()",
        "from django.utils import timezone\ndefault = timezone.now",
        "from django.db.models.functions import Now\nNow()",
    ],
)
def test_reading_a_clock_is_refused_but_in_the_clock_itself(code: str) -> None:
    assert _banned(code, "signalist/execution/planted.py")
    assert _banned(code, "tenants/planted.py")
    assert not _banned(code, "signalist/clock.py")


def test_asking_a_clock_that_was_handed_in_is_not_refused() -> None:
    assert not _banned("def decide(clock): return clock.now()", "signalist/execution/planted.py")
