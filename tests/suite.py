"""Run pytest, and what failed of few once more, alone: `python -m tests.suite PYTEST-ARGUMENTS`.

Half of the suite's processes share two cores with the other half: engines, browsers and servers that a test starts and waits for. A
test that fails there and passes alone, at once, is named at the end, to be looked after; one that fails again has failed. More than a
few failures are no coincidence and are not tried again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FEW = 3
FAILED = 1


def main(arguments: Sequence[str]) -> int:
    """pytest's exit status; that of the second try where there was one."""
    with tempfile.TemporaryDirectory() as kept:
        pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir={kept}"]
        status = subprocess.run([*pytest, *arguments], check=False).returncode
        failed = _failed(Path(kept)) if status == FAILED else []
        if not 0 < len(failed) <= FEW:
            return status
        print(f"== Once more, alone: {len(failed)} that failed", flush=True)
        status = subprocess.run([*pytest, *arguments, "-n", "0", "--last-failed"], check=False).returncode
        if status == 0:
            print("== FAILED AMONG OTHERS, PASSED ALONE:", *failed, sep="\n==   ", flush=True)
        return status


def _failed(kept: Path) -> Sequence[str]:
    """The tests that the first try has failed, as pytest names them."""
    found = kept / "v/cache/lastfailed"
    return sorted(json.loads(found.read_text(encoding="utf-8"))) if found.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
