"""The import contracts: they hold, and each of them notices what it is there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tree,
        env={"PATH": "", "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages that may be planted in."""
    for package in ("signalist", "tenants"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _plant(tree: Path, module: str, code: str) -> None:
    """Add `code` to a module, which is made, with the packages around it, where it does not exist."""
    package, _, name = module.rpartition(".")
    folder = tree
    for part in package.split("."):
        folder = folder / part
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    path = folder / name / "__init__.py" if (folder / name).is_dir() else folder / f"{name}.py"
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{code}\n")


def test_the_contracts_hold() -> None:
    answer = _lint(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 broken" in answer.stdout


VIOLATIONS = [
    pytest.param("signalist.domain.planted", "import django.db", "The domain is pure", id="domain-imports-django"),
    pytest.param("signalist.domain.planted", "import asyncio", "The domain is pure", id="domain-imports-asyncio"),
    pytest.param("signalist.domain.planted", "from time import time", "The domain is pure", id="domain-reads-a-clock"),
    pytest.param("signalist.domain.planted", "from signalist import clock", "The domain is pure", id="domain-imports-the-clock"),
    pytest.param("signalist.domain.planted", "import random", "The domain is pure", id="domain-draws-lots"),
    pytest.param("signalist.domain.planted", "import signalist.venues", "Imports go down only", id="domain-imports-venues"),
    pytest.param("signalist.venues.paper.planted", "import django", "know no Django", id="venue-imports-django"),
    pytest.param("signalist.sandbox.planted", "import django", "know no Django", id="sandbox-imports-django"),
    pytest.param(
        "signalist.venues.kraken.client", "import signalist.venues.paper", "do not know each other", id="venue-imports-venue"
    ),
    pytest.param("signalist.venues.novel.client", "", "do not know each other", id="venue-without-a-floor"),
    pytest.param("signalist.events.planted", "import signalist.trading", "Imports go down only", id="lower-imports-higher"),
    pytest.param(
        "signalist.events.planted",
        "def later():\n    import signalist.trading",
        "Imports go down only",
        id="lower-imports-higher-inside-a-function",
    ),
    pytest.param("signalist.accounts.planted", "import signalist.markets", "Imports go down only", id="neighbours-import"),
    pytest.param("signalist.novelty.planted", "", "Imports go down only", id="package-without-a-floor"),
    pytest.param("tenants.planted", "import signalist.trading", "Tenants stand between", id="tenants-import-trading"),
    pytest.param("tenants.planted", "import signalist.domain", "Tenants know nothing", id="tenants-import-the-domain"),
    pytest.param("signalist.events.planted", "import tenants", "Tenants stand between", id="third-floor-imports-tenants"),
    pytest.param("signalist.engine.planted", "import signalist.settings", "the front door", id="settings-imported"),
    pytest.param("signalist.trading.pages", "import signalist.settings", "the front door", id="settings-imported-by-a-page"),
    pytest.param(
        "signalist.trading.models", "import tenants.vault", "Only what connects or probes", id="somebody-unseals"
    ),
]  # fmt: skip


def test_planted_violations_are_caught(tree: Path) -> None:
    """All of them at once, each named where it stands; `make soak` tries every one by itself."""
    for violation in VIOLATIONS:
        module, code, _ = violation.values
        _plant(tree, str(module), str(code))
    answer = _lint(tree)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    for module, code, broken in (violation.values for violation in VIOLATIONS):
        assert any(str(broken) in line and " BROKEN" in line for line in answer.stdout.splitlines()), broken
        named = str(module) if code else str(module).rpartition(".")[0]
        assert named in answer.stdout, f"{named} is not named"


@pytest.mark.soak
@pytest.mark.parametrize(("module", "code", "broken"), VIOLATIONS)
def test_a_planted_violation_is_caught(tree: Path, module: str, code: str, broken: str) -> None:
    _plant(tree, module, code)
    answer = _lint(tree)
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert any(broken in line and " BROKEN" in line for line in answer.stdout.splitlines()), answer.stdout


@pytest.mark.parametrize(
    ("stage", "other"),
    [
        ("fan_out", "decide"),
        *(
            pytest.param(*pair, marks=pytest.mark.soak)
            for pair in (("decide", "place"), ("place", "reconcile"), ("protect", "place"), ("measure", "protect"))
        ),
    ],
)
def test_a_stage_that_imports_another_is_caught(tree: Path, stage: str, other: str) -> None:
    _plant(tree, f"signalist.execution.{other}", "")
    _plant(tree, f"signalist.execution.{stage}", f"import signalist.execution.{other}")
    assert "No stage calls another: rows are the interface BROKEN" in _lint(tree).stdout


def test_a_stage_reached_through_a_helper_is_caught(tree: Path) -> None:
    _plant(tree, "signalist.execution.place", "")
    _plant(tree, "signalist.execution.helper", "import signalist.execution.place")
    _plant(tree, "signalist.execution.decide", "import signalist.execution.helper")
    assert "No stage calls another: rows are the interface BROKEN" in _lint(tree).stdout


@pytest.mark.parametrize(
    "name", ["pages", *(pytest.param(name, marks=pytest.mark.soak) for name in ("admin", "urls", "forms"))]
)
def test_nobody_imports_a_page(tree: Path, name: str) -> None:
    _plant(tree, f"signalist.trading.{name}", "")
    _plant(tree, "signalist.engine.planted", f"import signalist.trading.{name}")
    _plant(tree, f"tenants.{name}", "")
    _plant(tree, "signalist.execution.planted", f"import tenants.{name}")
    answer = _lint(tree).stdout
    assert "Nobody imports a page BROKEN" in answer
    assert f"signalist.engine.planted -> signalist.trading.{name}" in answer
    assert f"signalist.execution.planted -> tenants.{name}" in answer


def test_only_the_doors_open_an_account(tree: Path) -> None:
    _plant(tree, "signalist.accounts.sessions", "")
    for allowed in ("signalist.execution.place", "signalist.execution.reconcile", "signalist.engine.leases"):
        _plant(tree, allowed, "import signalist.accounts.sessions")
    assert _lint(tree).returncode == 0
    _plant(tree, "signalist.execution.decide", "import signalist.accounts.sessions")
    assert (
        "Only place, reconcile and streams open an account, and the engine that holds its lease BROKEN"
        in _lint(tree).stdout
    )


def test_a_page_may_read_and_act_on_any_floor(tree: Path) -> None:
    for page in ("signalist.accounts.pages", "signalist.accounts.admin", "tenants.pages", "tenants.admin"):
        _plant(tree, page, "import signalist.trading.models\nimport signalist.execution\nimport signalist.markets")
    answer = _lint(tree)
    assert answer.returncode == 0, answer.stdout


def test_keys_are_read_in_the_settings_and_where_secrets_are_sealed_only() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for package in ("signalist", "tenants")
        for path in (ROOT / package).rglob("*.py")
        if "CREDENTIAL_KEYS" in path.read_text(encoding="utf-8")
    }
    assert readers == {"signalist/settings.py", "tenants/vault.py"}
