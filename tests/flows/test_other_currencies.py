"""Fees and money that a venue tells in another currency than the account's are never taken as the account's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from signalist.accounts.models import PaperAccount
from signalist.trading.answers import possible
from signalist.trading.discrepancies import AccountLook, Answer, Discrepancy, Kind
from signalist.trading.discrepancy_words import explained
from signalist.trading.models import AccountBalance, Fill
from signalist.trading.order_book import fill_line
from signalist.venues.base import Reports
from tests.flows.by_hand import differences, looks, seen
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")


@pytest.fixture
def world(scene: Scene) -> Scene:
    scene.minute()
    return scene


def in_currency(currency: str, fee: str) -> Callable[[Reports], Reports]:
    """Every fill's fee is so much of this currency."""
    return lambda said: replace(
        said, fills=tuple(replace(fill, fee=Decimal(fee), fee_currency=currency) for fill in said.fills)
    )


def test_a_fee_in_another_currency_counts_at_the_dated_rate_and_without_one_it_is_told_and_not_added(
    world: Scene,
) -> None:
    rich, poor, coin = world.subscriber("Rich"), world.subscriber("Poor"), world.subscriber("Coin")
    world.rate("NOK", "USD", "0.1")
    looks(world, 1)
    for one, currency, fee in ((rich, "NOK", "25"), (poor, "XYZ", "7"), (coin, "BTC", "0.001")):
        world.venue.alters(in_currency(currency, fee), "reports", ref=one.account.venue_ref, times=99)
    before = dict(PaperAccount.objects.values_list("ref", "cash"))
    world.signal(BUY)
    price = world.order(coin, "ENTRY").filled_value / world.order(coin, "ENTRY").filled
    for one, counts in ((rich, Decimal("2.5")), (poor, Decimal(0)), (coin, price / 1000)):
        (fill,) = Fill.objects.filter(account=one.account)
        assert (fill.fee == fill.cost, fill.booked_fee) == (False, counts)
        assert world.order(one, "ENTRY").fees == world.position(one).fees == counts
        assert fill_line(fill).is_counted is (one != poor)
    assert world.events("fee_not_counted") == [{"order": world.order(poor, "ENTRY").pk, "fee": "7", "currency": "XYZ"}]
    for ref, cash in before.items():  # the venue took the fee of something else than this money
        PaperAccount.objects.filter(ref=ref).update(cash=cash)
    looks(world)
    assert differences() == [], "and the money is not expected to lack it"
    world.signal(EXIT_LONG)
    assert (world.trade(rich).fees, world.trade(poor).fees) == (Decimal(5), Decimal(0))
    assert world.trade(rich).net == world.trade(rich).gross - 5
    for one in (rich, poor, coin):
        ref = one.account.venue_ref
        PaperAccount.objects.filter(ref=ref).update(cash=before[ref] + world.trade(one).gross)
    looks(world)
    assert differences() == []


def test_money_told_in_another_currency_is_not_the_accounts_and_stops_entries_until_it_is_told_in_its_own(
    world: Scene,
) -> None:
    theo = world.subscriber()
    looks(world, 1)
    PaperAccount.objects.update(currency="EUR", cash=Decimal(90_000))
    looks(world)
    assert AccountBalance.objects.get().total == AccountLook.objects.get().total == Decimal(100_000)
    assert seen("kind", "ours", "theirs", "pauses") == [(Kind.BALANCE_GAP, None, None, True)]
    row = Discrepancy.objects.get()
    assert explained(row, None, "USD").startswith("The venue tells this account's money as 90,000.00 EUR")
    assert possible(row) == (Answer.CHECK,), "an amount of another currency cannot be taken in"
    world.signal(BUY)
    assert world.execution(theo).rule == "difference"
    PaperAccount.objects.update(currency="USD", cash=Decimal(90_000))
    looks(world)
    assert seen("kind", "ours", "theirs") == [(Kind.BALANCE_GAP, Decimal(100_000), Decimal(90_000))]
    assert "by our books" in explained(differences()[0], None, "USD").lower()
    assert AccountBalance.objects.get().total == Decimal(90_000)
