"""A signal as its author sees it: how many followers did what, and nobody's numbers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from tenants.doors import across_tenants
from tenants.models import User
from tests.cast import Cast
from tests.flows.scene import EXIT_LONG, LONG, entry
from tests.pages.acme import Acme, acme_trades
from tests.pages.counting import asks

BUY = entry(LONG, "39600", "40800")
# The person, session and membership; then the signal, the outcomes and the orders.
ASKED = 6


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_trades(cast, monkeypatch) as world:
        yield world


def written_by(acme: Acme, who: User) -> None:
    strategy = acme.scene.crossover.version.strategy
    strategy.author = who
    strategy.save()


def test_the_author_sees_how_many_did_what_and_nobody_s_numbers(acme: Acme) -> None:
    written_by(acme, acme.cast.gus)
    for name in ("First", "Second", "Third"):
        acme.follower(name)
    acme.follower("Penniless", deposit="0")
    said = acme.scene.signal(BUY)[0]
    assert acme.get(f"/decisions/{said.public_id}/", acme.cast.gus).headers["Location"] == (
        f"/authors/signals/{said.public_id}/"
    )
    words = acme.text(f"/authors/signals/{said.public_id}/", acme.cast.gus)
    assert "Outcome for 4 followers" in words
    assert "Taken 3 of 4 Resized 0 of 4 Skipped 0 of 4 Denied 1 of 4" in words
    assert "Within every limit Taken 3 Free balance Denied 1" in words
    assert "Slippage, median, paper 0.0 bp" in words
    for name in ("Acme", "First", "Penniless", "2.5", "100,000", "1,000.00"):
        assert name not in words


def test_a_middle_of_two_would_be_somebody_s_number(acme: Acme) -> None:
    written_by(acme, acme.cast.gus)
    acme.follower("First")
    acme.follower("Second")
    said = acme.scene.signal(BUY)[0]
    words = acme.text(f"/authors/signals/{said.public_id}/", acme.cast.gus)
    assert "Slippage, median, paper – told from three fills on" in words
    assert "median, paper – 2 filled" in words


def test_an_author_who_follows_the_strategy_too_sees_both(acme: Acme) -> None:
    written_by(acme, acme.cast.theo)
    acme.follower()
    said = acme.scene.signal(BUY)[0]
    assert f'href="/authors/signals/{said.public_id}/"' in acme.html(f"/decisions/{said.public_id}/")
    assert "authors/signals" not in acme.html(f"/decisions/{said.public_id}/", acme.cast.olivia)


def test_only_the_author_has_the_author_s_view(acme: Acme) -> None:
    written_by(acme, acme.cast.olivia)
    acme.follower()
    said = acme.scene.signal(BUY)[0]
    address = f"/authors/signals/{said.public_id}/"
    acme.refused_to_others(address)
    assert acme.get(address, acme.cast.theo).status_code == 404
    assert acme.get(f"/decisions/{said.public_id}/", acme.cast.gus).status_code == 404
    acme.html(address, acme.cast.olivia)
    with asks(ASKED):
        acme.html(address, acme.cast.olivia)


@pytest.mark.postgresql
def test_the_web_s_role_counts_for_authors_and_reads_no_more(acme: Acme) -> None:
    written_by(acme, acme.cast.gus)
    acme.follower()
    said = acme.scene.signal(BUY)[0]
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            words = acme.text(f"/authors/signals/{said.public_id}/", acme.cast.gus)
        finally:
            cursor.execute("RESET ROLE")
    assert "Outcome for 1 follower" in words


def test_how_real_accounts_were_filled_is_told_apart_from_paper(acme: Acme) -> None:
    written_by(acme, acme.cast.gus)
    acme.follower("First")
    said = acme.scene.signal(BUY)[0]
    words = acme.text(f"/authors/signals/{said.public_id}/", acme.cast.gus)
    assert "Slippage, median, paper" in words and "Slippage, median –" not in words
    acme.scene.btc.venue = "kraken"
    acme.scene.btc.save()
    words = acme.text(f"/authors/signals/{said.public_id}/", acme.cast.gus)
    assert "Slippage, median, paper" not in words and "Slippage, median –" in words


def test_an_exit_has_its_view_too(acme: Acme) -> None:
    written_by(acme, acme.cast.gus)
    acme.follower()
    acme.scene.signal(BUY)
    acme.scene.minute()
    said = acme.scene.signal(EXIT_LONG)[0]
    words = acme.text(f"/authors/signals/{said.public_id}/", acme.cast.gus)
    assert "Exit Taken 1" in words
    assert "1 filled" in words


@pytest.mark.postgresql
@pytest.mark.parametrize("table", ["accounts_account", "trading_subscription", "trading_position", "trading_trade"])
def test_the_author_s_door_opens_nothing_else_to_the_web(acme: Acme, table: str) -> None:
    acme.follower()
    acme.scene.signal(BUY)
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        try:
            with across_tenants("author"):
                cursor.execute(f"SELECT count(*) FROM {table}")
                assert cursor.fetchone() == (0,)
        finally:
            cursor.execute("RESET ROLE")
