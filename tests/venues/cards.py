"""The conformance battery's cards: what is tried at every venue, by number, and the table of venues and cards.

`python -m tests.venues.battery` runs them all and prints the table. A card that a venue cannot be dealt is named with the reason; a test
that needs what a venue does not have is not collected for it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest

F = TypeVar("F", bound=Callable[..., Any])

CARDS: Mapping[int, str] = {
    1: "connect: an account opens, a stranger's does not",
    2: "sign: over the exact bytes, or refused",
    3: "time skew: deadlines are by the venue's clock",
    4: "nonce: none twice, not over processes either",
    5: "rounding: off the tick or the lot is refused",
    6: "minimums: of quantity and of value",
    7: "market order",
    8: "limit order",
    9: "marketable limit",
    10: "stop: rests, triggers, takes",
    11: "take-profit: rests, triggers, takes",
    12: "gap over a stop",
    13: "partial fill",
    14: "cancel",
    15: "cancel race",
    16: "amend",
    17: "reduce-only",
    18: "duplicate client id",
    19: "not found",
    20: "refusals harm no other",
    21: "money: paid for, locked, given back",
    22: "leverage, margin and short",
    23: "reports: everything, once, with the balance",
    24: "open orders, and taking one down",
    25: "another account's is not ours",
    26: "rate limit: refused unseen, may be sent again",
    27: "maintenance",
    28: "disconnect in flight: unknown, looked up, never sent again",
    29: "stream: gap, twice, cut, silent",
    30: "restart: another process takes up",
    31: "symbols",
    32: "currencies of money and fees",
    33: "deadline of an entry",
    34: "what it can do is declared",
    35: "history, where orders have no names of ours",
    36: "batch: partly refused, lost, cancelled together",
}
_OF_NAMES = (
    (34, "what_the_venue_can_do"),
    (35, "the_history_|carries_an_id_of_ours"),
    (1, "account_that_is_not_there"),
    (24, "what_is_open|taken_down_under"),
    (25, "another_account|two_readers|reader_that_gives_up"),
    (18, "order_id_is_taken_once|one_id_at_the_same_time"),
    (19, "never_arrived"),
    (31, "instrument_that_is_not_there"),
    (17, "reduce_only_order|outlives_its_position"),
    (22, "leverage_pays|turned_around|gives_its_margin|half_a_position"),
    (21, "paid_for|locks|spot_is_sold"),
    (15, "comes_too_late"),
    (13, "in_parts|partial_fill|below_what_is_filled"),
    (36, "batch"),
    (16, "amend|takes_another"),
    (14, "cancelled_order"),
    (12, "a_gap_over|reaches_stop_and_target"),
    (11, "take_profit"),
    (10, "a_stop_waits"),
    (9, "wrong_side_of_the_market|never_filled_worse"),
    (8, "limit_order_rests"),
    (7, "market_order|answer_to_a_placing|fill_names_its_order"),
    (23, "reports|woken"),
    (20, "off_the_rules|without_a_market"),
)

SHORT, REDUCE, LEVERAGE, BOTH_EXITS, NO_MARKET = "short", "reduce-only", "leverage", "both exits", "no market"
MAINTENANCE, BATCH = "maintenance", "batch"
_NEEDS = (
    (BATCH, "in_one_batch"),
    (MAINTENANCE, "in_maintenance"),
    (SHORT, "turned_around"),
    (REDUCE, "reduce_only_order|outlives_its_position"),
    (LEVERAGE, "leverage_pays|gives_its_margin|half_a_position"),
    (BOTH_EXITS, "reaches_stop_and_target|protection_locks_nothing"),
    (NO_MARKET, "without_a_market"),
)


ONE_BY_ONE = "each order goes by itself"


def card(number: int) -> Callable[[F], F]:
    """Deal a test to a card."""
    assert number in CARDS

    def dealt(function: F) -> F:
        function.card = number  # type: ignore[attr-defined]
        return function

    return dealt


def card_of(function: Any, params: Mapping[str, Any]) -> int | None:
    """The card of a test, None where it belongs to none."""
    found: int | None = getattr(function, "card", None)
    if found is None:
        name = function.__name__
        found = next((number for number, pattern in _OF_NAMES if re.search(pattern, name)), None)
    change = params.get("change", {})
    if found == 20 and ("quantity" in change or "price" in change or "trigger" in change):
        return 6 if str(change.get("quantity")) == "0.004" else 5
    return found


def lacking(item: pytest.Item) -> str | None:
    """What the test's venue does not have and the test needs; None where it is dealt."""
    cls: Any = getattr(item, "cls", None)
    lacks: Mapping[str, str] = getattr(cls, "lacks", {})
    name, params = getattr(item, "originalname", item.name), params_of(item)
    needs = {need for need, pattern in _NEEDS if re.search(pattern, name)}
    if getattr(params.get("side"), "value", "") == "SELL":
        needs.add(SHORT)
    return next((lacks[need] for need in sorted(needs) if need in lacks), None)


def params_of(item: pytest.Item) -> Mapping[str, Any]:
    """What the test is tried with."""
    callspec = getattr(item, "callspec", None)
    return {} if callspec is None else callspec.params


class Table:
    """A plugin of pytest: who passed what."""

    def __init__(self) -> None:
        self.passed: Counter[tuple[str, int]] = Counter()
        self.failed: Counter[tuple[str, int]] = Counter()
        self.reasons: dict[tuple[str, int], set[str]] = {}
        self.venues: list[str] = []
        self.without: dict[str, Mapping[int, str]] = {}
        self._places: dict[str, tuple[str, int]] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Know where a test belongs."""
        cls: Any = getattr(item, "cls", None)
        venue, number = getattr(cls, "venue_name", ""), card_of(getattr(item, "function", None), params_of(item))
        if not venue or number is None:
            return
        if venue not in self.venues:
            self.venues.append(venue)
        self.without[venue] = {**self.without.get(venue, {}), **getattr(cls, "without", {})}
        reason = lacking(item)
        if reason is None:
            self._places[item.nodeid] = venue, number
        else:
            self.reasons.setdefault((venue, number), set()).add(reason)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count it."""
        place = self._places.get(report.nodeid)
        if place is not None and report.failed:
            self.failed[place] += 1
        elif place is not None and report.when == "call":
            self.passed[place] += 1

    def lines(self) -> list[str]:
        """The table, and below it what is inapplicable."""
        width = max(len(text) for text in CARDS.values()) + 4
        lines = [" " * width + "".join(f"{venue:>20}" for venue in self.venues)]
        notes: dict[str, int] = {}
        for number, text in CARDS.items():
            cells = [self._cell(venue, number, notes) for venue in self.venues]
            lines.append(f"{number:>2}  {text:<{width - 4}}" + "".join(f"{cell:>20}" for cell in cells))
        lines += ["", "–: not applicable. +: in part, because"]
        return lines + [f"  [{mark}] {reason}" for reason, mark in notes.items()]

    def _cell(self, venue: str, number: int, notes: dict[str, int]) -> str:
        place = venue, number
        reasons = set(self.reasons.get(place, ()))
        why = self.without.get(venue, {}).get(number)
        if why is not None and not self.passed[place] and not self.failed[place]:
            reasons.add(why)
        marks = "".join(f"[{notes.setdefault(reason, len(notes) + 1)}]" for reason in sorted(reasons))
        if self.failed[place]:
            return f"FAILED {self.failed[place]}"
        if self.passed[place]:
            return f"{self.passed[place]} ok{' +' + marks if marks else ''}"
        return f"– {marks}" if marks else "MISSING"


FILES = ("test_paper_battery.py", "test_loopback_battery.py", "test_kraken_battery.py")


def main() -> int:
    """Run the battery and print the table."""
    table = Table()
    failed = pytest.main(
        ["-q", "-p", "no:cacheprovider", "--no-header", *(f"tests/venues/{name}" for name in FILES)], plugins=[table]
    )
    sys.stdout.write("\n".join(["", *table.lines(), ""]))
    return int(failed)
