"""The harness itself: nothing skips unseen, long suites wait to be asked, PostgreSQL is met under a role that policies bind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.throwaway_postgres import NO_SERVER, NoServer, server

ROOT = Path(__file__).resolve().parents[2]
THROWAWAY = [sys.executable, "-m", "tests.throwaway_postgres", "--"]


def _clean(**changes: str) -> dict[str, str]:
    ours = ("SIGNALIST_", "DATABASE_", "PYTEST_", "DJANGO_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | changes


def _run(command: list[str], **changes: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, env=_clean(**changes), capture_output=True, text=True, check=False, timeout=120
    )


def _pytest(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "-c", "pyproject.toml"]
    return _run([*command, str(folder), *arguments], **changes)


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """One test that passes, one that skips, one that is expected to fail, one that is long."""
    (tmp_path / "test_suite.py").write_text(
        "import pytest\n"
        "def test_passes(): pass\n"
        "def test_skips(): pytest.skip('no weather')\n"
        "@pytest.mark.xfail(reason='known')\n"
        "def test_fails_as_known(): assert False\n"
        "@pytest.mark.soak\n"
        "def test_is_long(): pass\n"
    )
    return tmp_path


@pytest.mark.soak
def test_a_skip_is_only_reported_where_it_may_be(suite: Path) -> None:
    answer = _pytest(suite)
    assert answer.returncode == 0, answer.stdout
    assert "1 passed, 1 skipped, 1 deselected, 1 xfailed" in answer.stdout


def test_a_skip_fails_where_nothing_may_skip(suite: Path) -> None:
    answer = _pytest(suite, SIGNALIST_NO_SKIPS="1")
    assert answer.returncode == 1
    assert "1 failed, 1 passed, 1 deselected, 1 xfailed" in answer.stdout
    assert "Nothing may skip here (SIGNALIST_NO_SKIPS=1), but this did: Skipped: no weather" in answer.stdout


@pytest.mark.soak
def test_recorded_material_that_is_not_there_is_excused(tmp_path: Path) -> None:
    code = "import pytest\ndef test_month(): pytest.skip('the recorded candles are not beside the project')\n"
    (tmp_path / "test_recorded.py").write_text(code)
    answer = _pytest(tmp_path, SIGNALIST_NO_SKIPS="1")
    assert answer.returncode == 0
    assert "1 skipped" in answer.stdout


@pytest.mark.soak
def test_a_module_that_skips_itself_fails_where_nothing_may_skip(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text("import pytest\npytest.skip('no weather', allow_module_level=True)\n")
    assert _pytest(tmp_path, SIGNALIST_NO_SKIPS="1").returncode not in (0, 5)
    assert _pytest(tmp_path).returncode == 5


@pytest.mark.soak
def test_a_long_suite_runs_when_asked_for(suite: Path) -> None:
    answer = _pytest(suite, "-m", "soak")
    assert "1 passed, 3 deselected" in answer.stdout


@pytest.fixture(scope="module")
def superuser() -> Iterator[str]:
    """The address of a superuser on a server that is there for these tests."""
    try:
        with server() as address:
            yield address
    except NoServer as reason:
        pytest.skip(str(reason))


def test_the_suite_refuses_to_run_as_a_superuser(superuser: str, suite: Path) -> None:
    answer = _pytest(suite, DATABASE_URL=superuser)
    assert answer.returncode == 4
    assert "no policy binds a role with SUPERUSER or BYPASSRLS" in answer.stdout + answer.stderr


def test_the_command_meets_a_role_that_policies_bind(superuser: str) -> None:
    code = (
        "import os, psycopg\n"
        "connection = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)\n"
        "query = 'SELECT rolname, rolsuper, rolbypassrls, rolinherit, rolcreatedb FROM pg_roles WHERE rolname = current_user'\n"
        "print(*connection.execute(query).fetchone())\n"
        "for role in ('signalist_web', 'signalist_engine', 'signalist_tail'):\n"
        "    connection.execute(f'SET ROLE {role}'); connection.execute('RESET ROLE')\n"
        "connection.execute('CREATE TABLE proof (id int)'); connection.execute('DROP TABLE proof')\n"
        "print(connection.info.dbname)\n"
    )
    answer = _run([*THROWAWAY, sys.executable, "-c", code], POSTGRES_ADMIN_URL=superuser)
    assert answer.stderr == ""
    assert answer.stdout.splitlines() == ["signalist_test False False False True", "signalist"]


@pytest.mark.parametrize(("status", "passed_on"), [pytest.param(0, 0, marks=pytest.mark.soak), (5, 5), (NO_SERVER, 1)])
def test_the_commands_status_is_passed_on(superuser: str, status: int, passed_on: int) -> None:
    assert _run([*THROWAWAY, "sh", "-c", f"exit {status}"], POSTGRES_ADMIN_URL=superuser).returncode == passed_on


def test_without_a_server_it_says_why_in_one_sentence() -> None:
    answer = _run([*THROWAWAY, "true"], POSTGRES_ADMIN_URL="postgres://nobody@127.0.0.1:1/postgres")
    assert answer.returncode == NO_SERVER
    assert answer.stderr.startswith("The server that POSTGRES_ADMIN_URL names does not answer: ")
    assert len(answer.stderr.splitlines()) == 1


def test_its_cluster_is_gone_after_a_termination() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # where root hands the cluster to another user, that user must get there
        environment = _clean(TMPDIR=name, MARK=str(folder / "mark"))
        environment.pop("POSTGRES_ADMIN_URL", None)
        command = [*THROWAWAY, "sh", "-c", 'touch "$MARK"; exec sleep 60']
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
            deadline = time.monotonic() + 60
            while not (folder / "mark").exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if process.poll() == NO_SERVER and process.stderr:
                reason = process.stderr.read()
                assert reason.startswith("No PostgreSQL server is installed: ")
                pytest.skip(reason)
            assert list(folder.glob("signalist-pg-*"))
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 128 + signal.SIGTERM
        assert list(folder.glob("signalist-pg-*")) == []
