"""A simulation that finds nothing is worth what it would have found: bugs planted in the pipeline, each caught by one of five seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from signalist.domain.orders import OrderStatus
from signalist.engine.simulation.story import simulate
from signalist.execution import answered, claims, closing, decide, overtaking, protect, watching
from signalist.trading import folding
from signalist.venues.errors import Next

SEEDS = range(1, 6)
SOONER = "a position is protected"
Plant = Callable[[pytest.MonkeyPatch], None]


def a_placing_is_repeated_after_no_answer(patch: pytest.MonkeyPatch) -> None:
    placed = answered._placed

    def again(order: Any, errand: Any, now: Any) -> None:
        if errand.error is not None and errand.error.next is Next.UNKNOWN and order.state is OrderStatus.SENDING:
            order.status = OrderStatus.CREATED.value
        else:
            placed(order, errand, now)

    patch.setattr(answered, "_placed", again)


def protection_is_not_resized(patch: pytest.MonkeyPatch) -> None:
    cover = protect.cover

    def only_made(position: Any, wanted: Any, order: Any, *more: Any) -> None:
        if order is None:
            cover(position, wanted, order, *more)

    patch.setattr(protect, "cover", only_made)


def an_exit_goes_over_its_stop(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(decide, "_withdraw", lambda order, now: None)
    patch.setattr(claims, "leaving", lambda orders, now: overtaking.Leaving())


def a_report_is_applied_twice(patch: pytest.MonkeyPatch) -> None:
    take_fill = folding._take_fill

    def every(ledger: Any, account_id: int, report: Any) -> None:
        if (account_id, report.venue_fill_id) in ledger.seen:
            report = replace(report, venue_fill_id=f"{report.venue_fill_id}+")
        take_fill(ledger, account_id, report)

    patch.setattr(folding, "_take_fill", every)


def money_stays_reserved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(folding, "release_reservations", lambda entries: None)


def a_lost_exit_is_not_written_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(closing, "_exit_again", lambda position, active, changes: None)


def a_trailing_stop_comes_back_with_the_market(patch: pytest.MonkeyPatch) -> None:
    moved_stop = watching.moved_stop

    def loosely(plan: Any, guarded: Any, price: Any, spec: Any) -> Any:
        move = moved_stop(plan, replace(guarded, stop=None), price, spec)
        return None if move is None or move.level == guarded.stop else move

    patch.setattr(watching, "moved_stop", loosely)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("plant", "invariant"),
    [
        (a_placing_is_repeated_after_no_answer, "requests"),
        pytest.param(protection_is_not_resized, "exactly one stop and no order too many", marks=pytest.mark.soak),
        (an_exit_goes_over_its_stop, "requests"),
        (a_report_is_applied_twice, "fills are the venue's"),
        pytest.param(money_stays_reserved, "nothing is under way", marks=pytest.mark.soak),
        pytest.param(a_trailing_stop_comes_back_with_the_market, "a stop only tightens", marks=pytest.mark.soak),
        pytest.param(a_lost_exit_is_not_written_anew, "nothing is under way", marks=pytest.mark.soak),
    ],
)
def test_a_planted_bug_is_found(plant: Plant, invariant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By this invariant, or by the one that finds the same sooner."""
    plant(monkeypatch)
    found = []
    for seed in SEEDS:
        outcome = simulate(seed)
        found.append((outcome.invariant, outcome.numbers))
        if not outcome.holds:
            break
    assert found[-1][0] in (invariant, SOONER), found
