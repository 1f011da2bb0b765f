"""`manage.py verify_audit`: what it says, and its exit status."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from signalist.audit import triggers
from tests.audit.chains import by_hand, ten_entries
from tests.cast import Cast


def _said(*arguments: Any) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out)
    except SystemExit as end:
        return int(str(end.code)), out.getvalue()
    return 0, out.getvalue()


def test_it_names_the_row_and_ends_with_1_where_the_log_is_not_whole(cast: Cast, tmp_path: Path) -> None:
    ids = ten_entries(cast)
    status, words = _said()
    assert status == 0
    assert "Acme: 10 linked: whole" in words
    kept = tmp_path / "kept.json"
    kept.write_text(_said("--json")[1])
    assert [chain["number"] for chain in json.loads(kept.read_text())["chains"]] == [1, 10, 2]
    assert _said("--against", str(kept))[0] == 0

    by_hand("UPDATE audit_entry SET target = 'another' WHERE id = %s", ids[2])
    triggers.disarm()
    status, words = _said("--tenant", str(cast.acme.public_id))
    assert status == 1
    assert f"changed: entry {ids[2]}, number 3, was changed" in words
    assert "trigger audit_entry_no_delete is missing" in words
    assert "Globex" not in words
    status, document = _said("--json")
    assert status == 1
    assert json.loads(document)["chains"][1]["findings"][0]["entry_id"] == ids[2]


def test_it_refuses_what_it_cannot_look_at(cast: Cast, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="There is no workspace nobody"):
        call_command("verify_audit", "--tenant", "nobody")
    with pytest.raises(CommandError, match="is no answer of verify_audit"):
        call_command("verify_audit", "--against", str(tmp_path / "nothing"))
