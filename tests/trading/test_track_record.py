"""The public record of signals: every closed trade is counted into it once, real apart from paper, and nothing in it tells whose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from signalist.accounts.models import Account
from signalist.db import fast
from signalist.strategies.models import Signal
from signalist.trading import track_record
from signalist.trading.actions import cancel, change_terms
from signalist.trading.models import Following, SignalRecord, Trade
from signalist.trading.rebuild import differences, rebuild
from signalist.trading.terms import Terms
from signalist.venues.paper.matching_desk import Terms as Market
from tests.flows.scene import LONG, NOON, SHORT, Scene, entry, opened

BUY = entry(LONG, "39600", "40800")
SELL = entry(SHORT, "40400", "39200")
WRONG = Decimal("12.5")


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    with opened() as world:
        world.minute()
        yield world


def record() -> SignalRecord:
    return SignalRecord.objects.get()


def test_a_trade_that_reached_its_target_is_counted(scene: Scene) -> None:
    scene.subscriber()  # 100,000 at 1%: 2.5 BTC, which lose 1,000 at the stop
    (signal,) = scene.signal(BUY)
    scene.later(0)
    scene.minute(high="40900", close="40000")
    found, trade = record(), Trade.objects.get()
    assert (found.signal, found.schedule, found.is_paper) == (signal, scene.crossover, True)
    assert (found.trades, found.wins, found.with_stop) == (1, 1, 1)
    assert trade.net == 1899
    assert (found.return_total, found.r_total) == (Decimal("0.01899"), Decimal("1.899"))
    assert found.last_closed_at == trade.closed_at


def test_a_trade_that_was_stopped_is_no_win_and_costs_its_risk_and_fees(scene: Scene) -> None:
    scene.subscriber()
    scene.signal(SELL)
    scene.minute(high="40500", close="40400")
    found, trade = record(), Trade.objects.get()
    assert trade.net < -1000
    assert (found.wins, found.return_total) == (0, trade.net / 100_000)
    assert found.r_total == trade.net / 1000


def test_two_followers_of_one_signal_are_added_up_and_not_told_apart(scene: Scene) -> None:
    scene.subscriber("Theo")
    scene.subscriber("Olivia", capital="50000", risk="0.02")
    scene.signal(BUY)
    scene.minute(high="40900", close="40000")
    found, nets = record(), {t.account.name: t.net for t in Trade.objects.select_related("account")}
    assert (found.trades, found.wins) == (2, 2)
    assert found.return_total == nets["Theo"] / 100_000 + nets["Olivia"] / 50_000
    columns = {field.name for field in SignalRecord._meta.get_fields()}
    assert columns.isdisjoint({"tenant", "account", "subscription", "capital", "quantity"})


def test_every_signal_has_a_record_of_its_own(scene: Scene) -> None:
    scene.subscriber()
    scene.signal(BUY)
    scene.minute(high="40900", close="40000")
    scene.signal(BUY)
    scene.minute(high="40900", close="40000")
    assert list(SignalRecord.objects.order_by("pk").values_list("trades", flat=True)) == [1, 1]


def test_what_is_open_is_not_counted_yet(scene: Scene) -> None:
    scene.subscriber()
    scene.signal(BUY)
    scene.minute()
    assert not SignalRecord.objects.exists()


def test_without_a_stop_there_is_a_return_but_no_multiple_of_the_risk(scene: Scene) -> None:
    scene.subscriber(notional="0.5")
    scene.signal(entry(LONG, None, "40800"))
    scene.minute(high="40900", close="40000")
    assert (record().trades, record().with_stop, record().r_total) == (1, 0, 0)
    assert record().return_total == Trade.objects.get().net / 100_000


def test_the_capital_is_that_of_the_decision_whatever_was_changed_since(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY)
    change_terms(theo, Terms(Decimal(5_000), risk_fraction=Decimal("0.01"), leverage=Decimal(10)), scene.clock.now())
    scene.minute(high="40900", close="40000")
    assert record().return_total == Decimal("0.01899")


@pytest.mark.parametrize(("said", "high", "low"), [(BUY, "40900", None), (SELL, None, "39100")])
def test_slippage_is_positive_when_paid_by_longs_and_by_shorts(
    transactional_db: None, said: object, high: str | None, low: str | None
) -> None:
    with opened(market=Market(slippage=Decimal("0.001"), partial_chance=Decimal(0))) as world:
        world.minute()
        world.subscriber()
        world.signal(said)  # type: ignore[arg-type]
        world.minute(high=high, low=low, close="40000")
        assert record().slippage_total == Decimal("0.001")


def test_the_delay_is_counted_from_the_candle_s_close_to_the_first_fill(scene: Scene) -> None:
    scene.subscriber()
    scene.signal(BUY, wait=True)
    scene.later(1.25)
    scene.settle()
    scene.minute(high="40900", close="40000")
    assert 1_250 <= record().delay_ms_total < 2_000


def test_real_and_paper_are_recorded_apart(scene: Scene) -> None:
    scene.subscriber()
    scene.signal(BUY)
    scene.minute(high="40900", close="40000")
    trade = Trade.objects.select_related("account").get()
    with transaction.atomic():
        on_kraken = {trade.account_id: Account(pk=trade.account_id, venue="kraken")}
        fast.write_together(track_record.counted([trade], on_kraken))
    real, paper = SignalRecord.objects.order_by("is_paper")
    assert (real.is_paper, paper.is_paper) == (False, True)
    assert (real.trades, paper.trades) == (1, 1)
    with transaction.atomic():
        played = {trade.account_id: Account(pk=trade.account_id, venue="kraken", is_play_money=True)}
        fast.write_together(track_record.counted([trade], played))
    real, paper = SignalRecord.objects.order_by("is_paper")
    assert (real.trades, paper.trades) == (1, 2), "what was traded at a server with play money is no live record"
    scene.books_agree = False


def test_a_decision_that_kept_no_capital_is_no_part_of_the_record(scene: Scene) -> None:
    theo = scene.subscriber()
    scene.signal(BUY)
    scene.execution(theo).__class__.objects.update(capital=None)
    scene.minute(high="40900", close="40000")
    assert Trade.objects.get().measured
    assert not SignalRecord.objects.exists()


# --- Rebuilt -------------------------------------------------------------------------------------


@pytest.fixture
def traded(scene: Scene) -> Signal:
    """A signal whose one trade is closed."""
    scene.subscriber()
    (signal,) = scene.signal(BUY)
    scene.minute(high="40900", close="40000")
    return signal


def test_a_planted_difference_is_found_and_repaired(scene: Scene, traded: Signal, subtests: pytest.Subtests) -> None:
    """One after the other in the same world, which each leaves as it was."""
    for name in (*track_record.SUMS, "last_closed_at"):
        with subtests.test(name):
            _is_found_and_repaired(name)


def _is_found_and_repaired(name: str) -> None:
    right = getattr(record(), name)
    wrong = {"last_closed_at": NOON - timedelta(days=1), "delay_ms_total": 99_999}.get(
        name, 7 if isinstance(right, int) else WRONG
    )
    SignalRecord.objects.update(**{name: wrong})
    assert [(type(d.row).__name__, d.name) for d in differences()] == [("SignalRecord", name)]
    assert rebuild() == 1
    assert getattr(record(), name) == right


def test_a_record_that_is_missing_is_written_anew(scene: Scene, traded: Signal) -> None:
    SignalRecord.objects.all().delete()
    (difference,) = differences()
    assert str(difference).endswith(f"signal: stored None, computed 1 trades of signal {traded.pk}")
    assert rebuild() == 1
    assert (record().signal_id, record().return_total) == (traded.pk, Decimal("0.01899"))


def test_a_wrong_number_of_followers_is_found_and_repaired(scene: Scene, traded: Signal) -> None:
    Following.objects.update(followers=9)
    assert [(type(d.row).__name__, d.name) for d in differences()] == [("Following", "followers")]
    rebuild()
    assert Following.objects.get().followers == 1
    Following.objects.all().delete()
    rebuild()
    assert Following.objects.get().followers == 1


def test_followers_are_those_that_have_not_cancelled_real_apart_from_paper(scene: Scene) -> None:
    theo, vera = scene.subscriber("Theo"), scene.subscriber("Vera")
    assert Following.objects.get().followers == 2
    cancel(theo, scene.clock.now())
    row = Following.objects.get()
    assert (row.strategy_id, row.is_paper, row.followers) == (vera.strategy_id, True, 1)
