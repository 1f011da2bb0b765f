"""The product as processes: a migrated database with the demonstration in it, an engine that makes the synthetic market, a web process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.flows.commands import ROOT, OwnDatabase, engine, manage

PATIENCE = 60.0


class Product:
    """Everything that runs. The web process can be ended and started again on its port."""

    def __init__(self, database: OwnDatabase, folder: Path, port: int) -> None:
        self.database, self.port, self._log = database, port, folder / "web.log"
        said = manage(database, "demo", "--minutes", "30")
        assert said.status == 0, said.err
        subprocess.run(
            [sys.executable, "-m", "tests.browser.metronome"], cwd=ROOT, env=database.environment(), check=True
        )
        self._engine = engine(database, "--market", "synthetic")
        self._web: subprocess.Popen[bytes] | None = None
        self.start_web()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_web(self) -> None:
        """Start the web process and wait until it answers."""
        with self._log.open("ab") as log:
            self._web = subprocess.Popen(
                [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "signalist.asgi:application"],
                cwd=ROOT,
                env=self.database.environment(SIGNALIST_PROCESS="web"),
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._web.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, "the web process does not answer"
            time.sleep(0.1)

    def stop_web(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the web process."""
        assert self._web is not None
        self._web.send_signal(how)
        self._web.wait(PATIENCE)

    def end(self) -> None:
        """End everything."""
        self.stop_web(signal.SIGTERM)
        self._engine.send_signal(signal.SIGTERM)
        try:
            self._engine.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._engine.kill()
            self._engine.wait()
            raise

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def chromium_path() -> str | None:
    """The system's Chromium, if it has one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    folders = os.environ.get("PATH", "").split(os.pathsep)
    return next((str(p) for name in names for f in folders if (p := Path(f) / name).is_file()), None)
