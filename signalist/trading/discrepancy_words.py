"""Differences in words: what each means, what follows from it, and what every answer would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from signalist.display.numbers import money, price, quantity
from signalist.domain.orders import Leg
from signalist.trading.discrepancies import CURRENCY, STOCK, UNREAD, Answer, Discrepancy, Kind
from signalist.trading.labels import Market
from signalist.trading.naming import CANDIDATES


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer as it is offered: what the button says, and what it does."""

    value: str
    label: str
    effect: str


TITLES = {
    Kind.EXTERNAL_ORDER: "An order that is not ours",
    Kind.LOST_ORDER: "The venue lost an order",
    Kind.ORDER_CHANGED: "An order was changed at the venue",
    Kind.ORDER_IN_DOUBT: "An order in doubt for long",
    Kind.EXIT_HELD: "An exit does not leave",
    Kind.MANUAL_CLOSE: "Closed at the venue",
    Kind.POSITION_LARGER: "The venue holds more",
    Kind.POSITION_SMALLER: "The venue holds less",
    Kind.UNKNOWN_FILL: "Fills that are not ours",
    Kind.BALANCE_GAP: "The money differs",
}


def title(kind: str) -> str:
    """A few words for a kind of difference."""
    return TITLES[Kind(kind)] if kind in Kind.values else "A difference"


def explained(row: Discrepancy, market: Market | None, currency: str) -> str:
    """What differs, in a sentence or two with both sides' numbers."""
    said = _SENTENCES[Kind(row.kind)](row, market, currency)
    return said if UNREAD not in row.facts else f"{said} {_unread(row)}"


def consequence(row: Discrepancy, market: Market | None) -> str:
    """What follows from it while it is open."""
    if not row.pauses:
        return "Nothing is held back."
    if not row.symbol:
        return "All entries of this account are denied until it is explained; exits and protection go on."
    if market is None:
        return "No subscription trades it, so nothing is held back."
    return f"Entries in {row.symbol} are denied on this account until it is explained; exits and protection go on."


def choices(row: Discrepancy, answers: tuple[Answer, ...], by_price: bool) -> list[Choice]:
    """The answers that make sense, the plainest first."""
    return [Choice(answer.value, *_choice(row, answer, by_price)) for answer in answers]


def _choice(row: Discrepancy, answer: Answer, by_price: bool) -> tuple[str, str]:
    if answer is Answer.ADOPT:
        at = (
            "at the price that you name, without a fee" if by_price else "at the price and fee of the venue's own fills"
        )
        return "Book it as closed by hand", f"A trade is booked {at}; stop and target follow what is left."
    if row.kind == Kind.ORDER_CHANGED and answer in (Answer.KEEP, Answer.CANCEL):
        return _about_changed(row, answer)
    if answer is Answer.CANCEL:
        return "Cancel it at the venue", "The order is taken down; nothing else changes."
    if answer is Answer.GIVE_UP:
        return "Give the order up", "Our books count it as never there; what it protected has, or gets, another."
    if answer is Answer.KEEP and row.kind == Kind.BALANCE_GAP:
        return "Take it in", "A deposit, a withdrawal or a fee beside us: the next looks go by the venue's figure."
    if answer is Answer.KEEP:
        return "Leave it, it is my own", "It is counted as yours from now on. We neither protect nor close it."
    return "Look again", "The engine asks the venue again within seconds."


def _about_changed(row: Discrepancy, answer: Answer) -> tuple[str, str]:
    if answer is Answer.KEEP:
        return (
            "Go on with it as it is there",
            "Our books take over what was changed; what we follow from now on is that.",
        )
    if row.facts.get("leg") == Leg.ENTRY:
        return "Take the order back", "It is taken down; what it has filled stays, and is protected."
    return (
        "Put ours back",
        "It is taken down, and another is placed as ours was. Between the two, for seconds, there is none.",
    )


# --- Sentences -----------------------------------------------------------------------------------


def step(market: Market | None, *numbers: Decimal | None) -> Decimal:
    """The market's lot; in one that we do not trade the step of the finest of the numbers, so that none is rounded away."""
    if market is not None:
        return market.lot
    exponents = [int(number.normalize().as_tuple().exponent) for number in numbers if number is not None]
    return Decimal(1).scaleb(min(exponents, default=0))


def _size(number: Decimal | None, market: Market | None) -> str:
    if market is None:
        return quantity(number, step(None, number))
    return f"{quantity(number, market.lot)} {market.base}"


def _external(row: Discrepancy, market: Market | None, currency: str) -> str:
    side, kind, level = row.facts.get("side", ""), row.facts.get("type", ""), row.facts.get("level")
    at = f" at {price(Decimal(level), market.tick if market else None)}" if level else ""
    left = _size(abs(row.theirs or Decimal(0)), market)
    said = f"{side.lower()} {left} of {row.symbol}, {kind.lower().replace('_', ' ')}{at}"
    if row.facts.get("ours"):
        return f"An order of ours is open at the venue: {said}. Our books say that it is {row.facts['ours']}."
    return f"An order rests at the venue that we did not place: {said}."


def _lost(row: Discrepancy, market: Market | None, currency: str) -> str:
    leg, said = row.facts.get("leg", "").lower(), row.facts.get("said")
    known = f"says that it is {said}, and has told no fill of it" if said else "neither lists it nor finds it"
    more = " It has been written off and replaced." if row.facts.get("replaced") else ""
    return f"The venue had taken our {leg} order over {_size(row.ours, market)} of {row.symbol}, and now {known}.{more}"


def _changed(row: Discrepancy, market: Market | None, currency: str) -> str:
    facts, tick = row.facts, market.tick if market else None
    became = []
    if facts.get("changed_level") and row.ours is not None:
        became.append(f"rests at {price(Decimal(facts['changed_level']), tick)} instead of {price(row.ours, tick)}")
    if facts.get("changed_quantity") != facts.get("quantity"):
        ours, theirs = (_size(Decimal(facts[name]), market) for name in ("quantity", "changed_quantity"))
        became.append(f"is over {theirs} instead of {ours}")
    leg = facts.get("leg", "").lower()
    return f"Our {leg} order in {row.symbol} {' and '.join(became)}. Somebody changed it at the venue, past us."


def _in_doubt(row: Discrepancy, market: Market | None, currency: str) -> str:
    leg = row.facts.get("leg", "").lower()
    if row.facts.get(CANDIDATES):
        ours = f"our {leg} order over {_size(row.ours, market)} of {row.symbol}"
        return (
            f"Several orders at the venue may be {ours}: {row.facts[CANDIDATES]}. The account is halted until you say."
        )
    doubt = f"The venue has not said for long what became of our {leg} order over {_size(row.ours, market)}"
    return f"{doubt} of {row.symbol}. It is never sent again, and is looked up, less and less often, until the venue answers."


def _held(row: Discrepancy, market: Market | None, currency: str) -> str:
    facts = row.facts
    since = datetime.fromisoformat(facts["since"])
    said = f"What is to close {_size(abs(row.ours or Decimal(0)), market)} of {row.symbol} has not left since {since:%H:%M:%S} UTC"
    if facts.get("reason"):
        why = f"it was tried {facts['tries']} times, and the venue last said: {facts['reason']}"
    elif facts["n"] != "0":
        why = f"{facts['n']} orders before it were refused"
    else:
        why = "an order before it in this market is in doubt or not taken down yet, and the venue could not tell them apart"
    return f"{said}: {why}. The position is open meanwhile; the engine goes on trying. Close it at the venue if it cannot wait."


def _unread(row: Discrepancy) -> str:
    """That what is unknown may be why."""
    since = datetime.fromisoformat(row.facts[UNREAD])
    return f"The venue's history was read back to {since:%-d %B %Y} only: what was filled before that is not in our books, and may be why."


def _both(row: Discrepancy, market: Market | None) -> str:
    if row.ours is None or row.theirs is None:
        return "The next look at the venue compares both sides."
    return f"Our books hold {_size(row.ours, market)} of {row.symbol}, the venue {_size(row.theirs, market)}."


def _closed(row: Discrepancy, market: Market | None, currency: str) -> str:
    told = "The venue told the fills." if row.facts.get("told") else "The venue told no fill that explains it."
    return f"{_both(row, market)} Somebody closed at the venue, past us. {told}"


def _larger(row: Discrepancy, market: Market | None, currency: str) -> str:
    return f"{_both(row, market)} What is beyond our books is not protected by us."


def _smaller(row: Discrepancy, market: Market | None, currency: str) -> str:
    if row.facts.get(STOCK):
        return f"{_both(row, market)} A part was sold or moved by hand. What is held beyond our positions is yours, and is not asked about."
    return f"{_both(row, market)} A part was closed, liquidated or moved, and no fill of it was told."


def _fills(row: Discrepancy, market: Market | None, currency: str) -> str:
    return f"The venue reported fills of orders that we did not place. {_both(row, market)}"


def _money(row: Discrepancy, market: Market | None, currency: str) -> str:
    if told_in := row.facts.get(CURRENCY):
        said = f"{money(Decimal(row.facts['total']), told_in)} {told_in}"
        return f"The venue tells this account's money as {said}, and it is one in {currency}: what we knew of it stands as it was."
    ours, theirs = money(row.ours, currency), money(row.theirs, currency)
    gap = money((row.theirs or Decimal(0)) - (row.ours or Decimal(0)), currency, signed=True)
    return f"By our books there are {ours} {currency}, the venue says {theirs}: {gap} {currency}."


_SENTENCES: dict[Kind, Callable[[Discrepancy, Market | None, str], str]] = {
    Kind.EXTERNAL_ORDER: _external,
    Kind.LOST_ORDER: _lost,
    Kind.ORDER_CHANGED: _changed,
    Kind.ORDER_IN_DOUBT: _in_doubt,
    Kind.EXIT_HELD: _held,
    Kind.MANUAL_CLOSE: _closed,
    Kind.POSITION_LARGER: _larger,
    Kind.POSITION_SMALLER: _smaller,
    Kind.UNKNOWN_FILL: _fills,
    Kind.BALANCE_GAP: _money,
}
