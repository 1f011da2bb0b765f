"""Positions: fills folded into what is open, what was earned and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.money import QUANTUM
from signalist.domain.orders import Leg, Side, closing_side, opening_side
from signalist.domain.positions import FillFact, Holding, closed_gross, folded, opened
from signalist.domain.signals import Direction
from tests.domain.drawn import decimals

D = Decimal
BEGIN = datetime(2022, 1, 1, tzinfo=UTC)
LONG, SHORT = Direction.LONG, Direction.SHORT


def _entry(direction: Direction, quantity: str | Decimal, price: str | Decimal, fee: str | Decimal = "0") -> FillFact:
    return FillFact(opening_side(direction), Leg.ENTRY, D(quantity), D(price), D(fee), BEGIN)


def _exit(
    direction: Direction, quantity: str | Decimal, price: str | Decimal, fee: str | Decimal = "0", leg: Leg = Leg.EXIT
) -> FillFact:
    return FillFact(closing_side(direction), leg, D(quantity), D(price), D(fee), BEGIN + timedelta(minutes=1))


# --- Reference cases -----------------------------------------------------------------------------


@pytest.mark.parametrize(("exit_price", "gross"), [("44000", "-22.20"), ("50000", "111.00"), ("47500", "55.50")])
def test_the_reference_cases_of_a_long_at_45000(exit_price: str, gross: str) -> None:
    """MON-05."""
    holding = folded(opened(_entry(LONG, "0.0222", "45000")), _exit(LONG, "0.0222", exit_price))
    assert holding.is_flat
    assert holding.gross == D(gross)


@pytest.mark.parametrize(("exit_price", "gross"), [("44000", "22.20"), ("50000", "-111.00"), ("47500", "-55.50")])
def test_a_short_earns_what_the_long_loses(exit_price: str, gross: str) -> None:
    """MON-04."""
    holding = folded(opened(_entry(SHORT, "0.0222", "45000")), _exit(SHORT, "0.0222", exit_price))
    assert holding.gross == D(gross)


def test_the_booked_result_is_net_of_the_fees_of_both_ends() -> None:
    """CON-16."""
    holding = folded(opened(_entry(LONG, "0.2", "45000", "4.50")), _exit(LONG, "0.2", "46000", "4.60"))
    assert (holding.gross, holding.fees, holding.net) == (200, D("9.10"), D("190.90"))


def test_a_rebate_adds_to_the_result() -> None:
    holding = folded(opened(_entry(LONG, "1", "100", "-0.02")), _exit(LONG, "1", "100", "0.01"))
    assert holding.net == D("0.01")


# --- Opening -------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", Direction)
def test_a_first_fill_opens_a_position_on_its_side(direction: Direction) -> None:
    holding = opened(_entry(direction, "0.5", "100", "0.1"))
    assert holding == Holding(direction, D("0.5"), D(50), D(0), D(0), D("0.1"), BEGIN)
    assert (holding.quantity, holding.average_entry, holding.average_exit) == (D("0.5"), 100, None)
    assert (holding.gross, holding.net) == (0, D("-0.1"))


@pytest.mark.parametrize("leg", [Leg.EXIT, Leg.STOP, Leg.TARGET])
def test_a_fill_that_was_to_close_something_opens_nothing(leg: Leg) -> None:
    with pytest.raises(DomainError, match=f"A fill of a {leg} order has no position to close"):
        opened(_exit(LONG, "1", "100", leg=leg))


# --- Parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", Direction)
def test_an_entry_in_parts_has_the_average_price_weighted_by_quantity(direction: Direction) -> None:
    holding = folded(opened(_entry(direction, "0.3", "100")), _entry(direction, "0.1", "108"))
    assert (holding.quantity, holding.average_entry) == (D("0.4"), 102)
    assert holding.opened_at == BEGIN


def test_an_exit_in_parts_realises_each_part_against_the_average_entry() -> None:
    holding = folded(opened(_entry(LONG, "1", "100")), _exit(LONG, "0.25", "120"))
    assert (holding.quantity, holding.gross, holding.is_flat) == (D("0.75"), 5, False)
    holding = folded(holding, _exit(LONG, "0.75", "80"))
    assert (holding.is_flat, holding.gross, holding.average_exit) == (True, -10, 90)


def test_what_is_open_is_worth_its_distance_to_the_average_entry() -> None:
    long, short = opened(_entry(LONG, "2", "100")), opened(_entry(SHORT, "2", "100"))
    assert (long.open_result(D(103)), short.open_result(D(103))) == (6, -6)
    assert long.notional(D(103)) == 206


@pytest.mark.parametrize("direction", Direction)
def test_more_closed_than_is_open_is_refused(direction: Direction) -> None:
    holding = folded(opened(_entry(direction, "1", "100")), _exit(direction, "0.4", "100"))
    with pytest.raises(DomainError, match=r"A fill closes 0\.7 where only 0\.6 is open"):
        folded(holding, _exit(direction, "0.7", "100", leg=Leg.STOP))


def test_a_flat_position_cannot_be_closed_once_more() -> None:
    flat = folded(opened(_entry(LONG, "1", "100")), _exit(LONG, "1", "100"))
    with pytest.raises(DomainError, match="only 0 is open"):
        folded(flat, _exit(LONG, "0.001", "100"))


# --- Any sequence --------------------------------------------------------------------------------

fills = st.tuples(
    st.booleans(),
    decimals("0.001", "50", "0.001"),
    decimals("0.01", "90000"),
    decimals("-1", "20", "0.0001"),
)


@dataclass(frozen=True)
class Story:
    """A position, what its fills moved in cash (fees apart), and what they cost in fees."""

    holding: Holding
    cash: Fraction
    fees: Fraction
    facts: tuple[FillFact, ...]

    @property
    def closed(self) -> Decimal:
        gross = closed_gross(self.holding.direction, [(f.side, f.quantity, f.price) for f in self.facts])
        assert gross is not None
        return gross


@st.composite
def stories(draw: st.DrawFn, *, to_the_end: bool) -> Story:
    direction = draw(st.sampled_from(Direction))
    facts = [_entry(direction, *draw(fills)[1:])]
    left = facts[0].quantity
    for adds, quantity, price, fee in draw(st.lists(fills, max_size=12)):
        if adds or left == 0:
            facts.append(_entry(direction, quantity, price, fee))
            left += quantity
        else:
            closed = min(quantity, left)
            facts.append(_exit(direction, closed, price, fee))
            left -= closed
    if to_the_end and left:
        facts.append(_exit(direction, left, *draw(fills)[2:]))
    holding = opened(facts[0])
    for fact in facts[1:]:
        holding = folded(holding, fact)
    cash = sum((-f.side.sign * Fraction(f.quantity) * Fraction(f.price) for f in facts), Fraction(0))
    return Story(holding, cash, sum((Fraction(f.fee) for f in facts), Fraction(0)), tuple(facts))


@given(stories(to_the_end=True))
def test_a_closed_position_earned_exactly_what_its_fills_moved_in_cash(story: Story) -> None:
    assert story.holding.is_flat
    assert Fraction(story.holding.gross) == story.cash
    assert Fraction(story.holding.net) == story.cash - story.fees


def test_an_entry_after_an_exit_changes_nothing_of_what_the_exit_has_brought() -> None:
    story = [(Side.BUY, D(2), D(100)), (Side.SELL, D(1), D(110)), (Side.BUY, D(3), D(60))]
    assert closed_gross(LONG, story[:2]) == closed_gross(LONG, story) == 10
    assert closed_gross(LONG, [*story, (Side.SELL, D(4), D(70))]) == 10 + 0
    other = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
    assert closed_gross(SHORT, [(other[side], quantity, price) for side, quantity, price in story]) == -10


def test_fills_that_are_told_out_of_order_do_not_tell_it() -> None:
    assert closed_gross(LONG, [(Side.SELL, D(1), D(110)), (Side.BUY, D(2), D(100))]) is None


@given(stories(to_the_end=True))
def test_of_a_closed_position_both_accounts_of_what_it_brought_are_the_same(story: Story) -> None:
    assert abs(story.closed - story.holding.gross) <= Decimal("0.000001")


@given(stories(to_the_end=False))
def test_nor_do_they_differ_while_nothing_is_entered_after_an_exit(story: Story) -> None:
    legs = [fact.leg for fact in story.facts]
    entered = Leg.EXIT not in legs or Leg.ENTRY not in legs[legs.index(Leg.EXIT) :]
    if entered:
        assert abs(story.closed - story.holding.gross) <= Decimal("0.000001")


@given(stories(to_the_end=False), decimals("0.01", "90000"))
def test_realised_and_open_result_together_are_the_cash_and_the_worth_of_what_is_open(
    story: Story, price: Decimal
) -> None:
    holding = story.holding
    together = Fraction(holding.gross) + Fraction(holding.open_result(price))
    worth = Fraction(holding.quantity) * Fraction(price) * holding.direction.sign
    assert abs(together - (story.cash + worth)) <= 2 * Fraction(QUANTUM)
    assert holding.net == holding.gross - holding.fees
    assert Fraction(holding.fees) == story.fees


@given(stories(to_the_end=False))
def test_what_is_open_is_what_came_in_less_what_went_out(story: Story) -> None:
    holding = story.holding
    assert holding.quantity == holding.entry_quantity - holding.exit_quantity >= 0
    assert holding.is_flat == (holding.quantity == 0)


def test_a_buy_opens_a_long_whatever_is_sold_later() -> None:
    assert opened(FillFact(Side.BUY, Leg.ENTRY, D(1), D(1), D(0), BEGIN)).direction is LONG
    assert opened(FillFact(Side.SELL, Leg.ENTRY, D(1), D(1), D(0), BEGIN)).direction is SHORT
