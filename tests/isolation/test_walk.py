"""Every address, tried by everybody: nobody, a member of another workspace, and each role of the one that it is about.

A cell of the walk is an address, a method and a person. Each says what must come of it; whoever may gets an answer that works, so that a
page that is broken for all does not pass for a closed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, get_resolver, reverse
from django.views.generic import RedirectView

from signalist.live.access import seat_for
from tenants.permissions import PERMISSIONS
from tests.cast import Cast
from tests.isolation.lines import ABOUT_ONESELF, FORMS, LINES, Line
from tests.isolation.world import SECRET, World, one_of_everything

LOG_IN = "/accounts/login/"
GONE = 410  # what was for once, and somebody before has used
SHARED = "SHARED"  # whose role only looks, and who may trade on one account
ROLES = ("READONLY", "ANALYST", "TRADER", "ADMIN", SHARED)
OF_THAT_ACCOUNT = {"subscription", "position", "level", "difference", "account", "switch"}


@pytest.fixture
def world(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with one_of_everything(cast, monkeypatch) as made:
        yield made


# What changes something and asks for no right: everybody does it to what is theirs alone.
OF_ONESELF = set(
    "theme profile end_session workspace_missing incident_confirm my_data_export my_data_delete invitation switch_workspace "
    "leave_workspace depth".split()
)
# Where the right depends on what is asked, and is asked for inside.
IN_THE_VIEW = {"api_keys", "authoring", "share", "unshare"}


def names(patterns: Any = None, within: str = "") -> Iterator[str]:
    """The name of every address, with the namespace that it is in."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(pattern, URLPattern):
            closed = (
                getattr(pattern.callback, "view_class", None) is RedirectView
            )  # an address of allauth that is not used
            if not closed and not pattern.callback.__module__.startswith(ABOUT_ONESELF):
                yield f"{within}{pattern.name}"
        else:
            space = f"{pattern.namespace}:" if pattern.namespace else ""
            yield from names(pattern.url_patterns, within + space)


def test_every_address_has_a_line() -> None:
    ours = {name for name in names() if not name.startswith("admin:")} - {"api_nothing"}
    written = [(line.name, method) for line in LINES for method in line.methods]
    assert sorted(written) == sorted(set(written))
    assert ours == {name for name, _ in written}, "write the line of what is new, and take away that of what is gone"


def rights(patterns: Any = None) -> Iterator[tuple[str, str]]:
    """Every address that declares a right, with that right (see `tenants.access.needs`)."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        if not isinstance(pattern, URLPattern):
            yield from rights(pattern.url_patterns)
        elif declared := getattr(pattern.callback, "permission", ""):
            yield pattern.name, declared


def test_every_address_that_changes_something_declares_its_right() -> None:
    declared = dict(rights())
    assert declared == {
        line.name: line.who for line in LINES if line.who in PERMISSIONS and line.name not in IN_THE_VIEW
    }
    free = {line.name for line in LINES if "POST" in line.methods and line.who in ("member", "log-in", "public")}
    assert free == OF_ONESELF, "what changes something of the workspace's asks the table of rights"


def asked(world: World, line: Line, method: str, who: str) -> Any:
    """What the server answers."""
    address = reverse(line.name, args=world.things[line.thing] if line.thing else ())
    if line.who == "key":
        return Client().get(
            address, headers={"Authorization": f"Bearer {world.keys[who]}"} if who in world.keys else {}
        )
    return (
        world.clients[who].get(address)
        if method == "GET"
        else world.clients[who].post(address, FORMS.get(line.name, {}))
    )


def may(line: Line, who: str) -> bool:
    """Whether the line lets this person in."""
    if line.who in ("public", "staff"):
        return line.who == "public" or who == "staff"
    if line.who.startswith("only-"):
        return who in line.who.removeprefix("only-").split("+")
    if who == "anonymous" or (who == "outsider" and line.private):
        return False
    if who == "staff":
        return line.who == "log-in"
    if line.who in ("member", "log-in", "key") or who == "outsider":
        return True
    wanted = PERMISSIONS[line.who]
    if who == SHARED:
        with_it = line.thing in OF_THAT_ACCOUNT or not line.private
        return (wanted.shared and with_it) or "READONLY" in wanted.roles
    return who == "ADMIN" if wanted.owner_only else who in wanted.roles


def closed(line: Line, who: str, status: int, location: str) -> bool:
    """Whether the answer is the one that somebody gets who may not."""
    if line.who == "key" and who in ("anonymous", "staff"):
        return status == 401
    if line.who == "staff":
        return status == 404
    if who == "anonymous":
        return location.startswith(LOG_IN)
    if who == "staff":  # has no workspace
        return location.startswith("/workspace/") or status == 404
    if line.who.startswith("only-"):
        return status == 404 or (status == 403 and who in ROLES)
    return status == (404 if who == "outsider" else 403)


def wrong(world: World, line: Line, method: str, who: str) -> str:
    """What is wrong about a cell, or nothing."""
    answer = asked(world, line, method, who)
    status, location = answer.status_code, answer.headers.get("Location", "")
    told = b"" if answer.streaming else answer.content
    works = status in (200, 204, 302, 303, GONE) and not location.startswith(LOG_IN)
    if SECRET.encode() in told:
        return "shows a sealed secret"
    if who not in ROLES and not (
        who == line.who == "staff"
    ):  # the address itself may come back, and an invitation is told to whoever holds its link
        shown = (
            set() if line.thing == "token" else world.marks - {str(part) for part in world.things.get(line.thing, ())}
        )
        leaked = sorted(mark for mark in shown if mark.encode() in told)
        if leaked:
            return f"tells {', '.join(leaked)}"
    if may(line, who):
        return "" if works else f"answers {status} to one who may"
    return "" if closed(line, who, status, location) else f"answers {status} {location} to one who may not"


def test_nobody_reaches_what_is_not_theirs_and_everybody_what_is(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    cells = [(line, method, who) for line in LINES for method in line.methods for who in world.clients]
    looking = [cell for cell in cells if cell[1] == "GET"]
    refused = [cell for cell in cells if cell[1] == "POST" and not may(cell[0], cell[2])]
    done = [cell for cell in cells if cell[1] == "POST" and may(cell[0], cell[2])]
    problems = [
        f"{cell[0].name} {cell[1]} {cell[2]}: {problem}" for cell in looking if (problem := wrong(world, *cell))
    ]
    seats = {who: seat_for(user.pk, "key", {}, world.workspace) for who, user in world.people.items() if user}
    assert {who for who, seat in seats.items() if seat} == set(ROLES), "the socket's groups are of the same people"
    before = world.digest()
    problems += [
        f"{cell[0].name} {cell[1]} {cell[2]}: {problem}" for cell in refused if (problem := wrong(world, *cell))
    ]
    if world.digest() != before:
        problems.append("a form that was refused has changed something")
    problems += [f"{cell[0].name} {cell[1]} {cell[2]}: {problem}" for cell in done if (problem := wrong(world, *cell))]
    record_property("cells", len(cells))
    assert problems == [], "\n".join(problems)
    assert len(cells) > 430

    staffs = sorted(staff_addresses())
    open_to = [
        f"{address} {who}"
        for address in staffs
        for who in ("anonymous", "ADMIN")
        if not _closed(world.clients[who].get(address))
    ]
    assert open_to == []
    assert len(staffs) > 40


def staff_addresses() -> Iterator[str]:
    """The admin's pages: the lists and forms of everything that it shows."""
    yield reverse("admin:index")
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield reverse(f"{name}_changelist")
        yield reverse(f"{name}_change", args=(1,))


def _closed(answer: Any) -> bool:
    return answer.status_code in (403, 404) or answer.headers.get("Location", "").startswith((LOG_IN, "/admin/login/"))
