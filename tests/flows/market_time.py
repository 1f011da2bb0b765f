"""Market time that a test holds in its hand and that several processes read: it runs, stands still, or jumps."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path


class FileClock:
    """Market time as a small file says: {"at": a moment, "since": a monotonic moment from which on it runs, or null}.

    The monotonic clock of a machine is the same for all its processes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def now(self) -> datetime:
        """The present, in UTC."""
        at, since = self._said()
        return at if since is None else at + timedelta(seconds=time.monotonic() - since)

    def set(self, moment: datetime, *, runs: bool = True) -> None:
        """Go to this moment, forward or back, and on from there or not."""
        said = {"at": moment.isoformat(), "since": time.monotonic() if runs else None}
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(said), encoding="utf-8")
        fresh.replace(self.path)

    def hold(self) -> None:
        """Stand still."""
        self.set(self.now(), runs=False)

    def run(self) -> None:
        """Go on, where it stands still."""
        at, since = self._said()
        if since is None:
            self.set(at)

    def jump(self, seconds: float) -> None:
        """Be set forward or back, as a machine's clock is."""
        self.set(self.now() + timedelta(seconds=seconds))

    def _said(self) -> tuple[datetime, float | None]:
        said = json.loads(self.path.read_text(encoding="utf-8"))
        return datetime.fromisoformat(said["at"]).astimezone(UTC), said["since"]
