"""What decided, in words: every rule's title and a sentence with the numbers that the decision was made on.

Read by people who want to know why their account did or did not trade; numbers are written to the market's own steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from signalist.display.numbers import money, percent, price, quantity
from signalist.display.words import layer as layer_word
from signalist.trading.approval import RULE as NOT_APPROVED
from signalist.trading.discrepancy_words import title
from signalist.trading.labels import Market
from signalist.trading.models import ExecutionStatus


@dataclass(frozen=True, slots=True)
class Reason:
    """A title of a few words and a sentence; the sentence may be empty."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a sentence is made of: the decision's rule and numbers as stored, the market that is traded, and the account's day.

    `day_equity` is what the account was worth when its day began, where it is known.
    """

    status: str
    rule: str
    kind: str
    numbers: Mapping[str, Any]
    market: Market
    day_equity: Decimal | None = None

    def number(self, name: str) -> Decimal | None:
        """A stored number; None where it is missing or is none."""
        try:
            return Decimal(str(self.numbers[name]))
        except (KeyError, InvalidOperation):
            return None

    def text(self, name: str) -> str:
        """What is stored, as it stands; empty where nothing is."""
        return str(self.numbers.get(name) or "")

    def amount(self, name: str) -> str:
        """An amount in the market's quote currency."""
        return f"{money(self.number(name), self.market.quote)} {self.market.quote}"

    def size(self, name: str) -> str:
        """A quantity in the market's base."""
        return f"{quantity(self.number(name), self.market.lot)} {self.market.base}"

    def level(self, name: str) -> str:
        """A price."""
        return price(self.number(name), self.market.tick)

    @property
    def layer(self) -> str:
        """Who set the limit, as the end of a title."""
        return f" · {self.text('layer')}" if self.text("layer") else ""


def reason(facts: Facts) -> Reason:
    """Why a decision was made as it was. A rule that has no words of its own is shown by its name and numbers."""
    words = _WORDS.get(facts.rule)
    if words is not None:
        return words(facts)
    listed = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in facts.numbers.items() if value is not None
    )
    return Reason(facts.rule.replace("_", " ").capitalize(), _sentence(listed))


def _sentence(words: str) -> str:
    """With a capital and a full stop."""
    return f"{words[:1].upper()}{words[1:]}." if words else ""


def _nothing_bound(facts: Facts) -> Reason:
    if facts.status == ExecutionStatus.PENDING:
        return Reason(
            "Not decided yet",
            "The engine decides within the second; a reversal waits until the position before it is closed.",
        )
    if facts.kind.startswith("EXIT"):
        return Reason("Exit", f"Stop and target withdrawn, then {facts.size('quantity')} closed at market.")
    return Reason("Within every limit", f"Margin {facts.amount('margin')} of {facts.amount('available')} free.")


def _balance(facts: Facts) -> Reason:
    enough = (
        f"{facts.amount('available')} free pays, with its fee, for {facts.size('quantity')} of {facts.size('asked')}."
    )
    return Reason(f"Free balance{facts.layer}", _with_minimum(enough, facts))


def _share_of_equity(title: str) -> Callable[[Facts], Reason]:
    def words(facts: Facts) -> Reason:
        allowed = f"{percent(facts.number('limit'))} of equity leaves room for {facts.size('quantity')} of {facts.size('asked')}."
        return Reason(f"{title}{facts.layer}", _with_minimum(allowed, facts))

    return words


def _with_minimum(words: str, facts: Facts) -> str:
    minimum = facts.text("minimum")
    return f"{words} {_sentence(minimum)}" if minimum else words


def _count(title: str, what: str) -> Callable[[Facts], Reason]:
    def words(facts: Facts) -> Reason:
        return Reason(f"{title}{facts.layer}", f"{facts.text('current')} of {facts.text('limit')} {what}.")

    return words


def _cooldown(facts: Facts) -> Reason:
    since, pause = facts.number("current") or 0, facts.number("limit") or 0
    return Reason(
        f"Pause between entries{facts.layer}", f"{since:.0f} s after the last entry's signal, of {pause:.0f} s."
    )


def _daily_loss(facts: Facts) -> Reason:
    lost, limit, title = -(facts.number("result_today") or 0), facts.number("limit"), f"Daily loss limit{facts.layer}"
    if facts.text("kind") == "daily_loss_fraction" and facts.day_equity and limit is not None:
        used = f"Used {percent(lost / facts.day_equity)} of {percent(limit / facts.day_equity)}"
        return Reason(title, f"{used}: {money(Decimal(lost))} of {facts.amount('limit')}.")
    return Reason(title, f"Lost {money(Decimal(lost))} of the {facts.amount('limit')} that a day may cost.")


def _leverage(facts: Facts) -> Reason:
    asked, most = (quantity(facts.number(name), Decimal(1)) for name in ("leverage", "limit"))
    return Reason(f"Leverage{facts.layer}", f"{asked}× was asked for; {facts.market.symbol} is lent at most {most}×.")


def _stop_side(facts: Facts) -> Reason:
    stop, target = facts.number("stop"), facts.number("target")
    at, sign = facts.number("price"), 1 if facts.kind == "LONG" else -1
    wrong_stop = stop is not None and at is not None and (at - stop) * sign <= 0
    name, level = ("stop", facts.level("stop")) if wrong_stop or target is None else ("target", facts.level("target"))
    side = "below" if (name == "stop") == (sign > 0) else "above"
    return Reason(
        f"{name.capitalize()} on the wrong side",
        f"The {name} {level} of a {facts.kind.lower()} must lie {side} the price {facts.level('price')}.",
    )


def _basis(facts: Facts) -> Reason:
    if facts.text("problem"):
        seen = f" The last one is of {facts.text('at')[:19]} UTC." if facts.text("at") else ""
        return Reason("No price to go by", f"{_sentence(facts.text('problem'))}{seen}")
    apart, limit = percent(facts.number("basis"), signed=True), percent(facts.number("limit"))
    return Reason("Markets too far apart", f"The traded market stands {apart} from the signal's; {limit} is allowed.")


def _late(facts: Facts) -> Reason:
    late = facts.number("seconds_past_deadline")
    return Reason("Too late", f"Decided {late:.1f} s after the entry's deadline." if late is not None else "")


def _account(state: str, so: str) -> Callable[[Facts], Reason]:
    def words(facts: Facts) -> Reason:
        return Reason(f"Account {state}", f"{so}{': ' if facts.text('reason') else ''}{facts.text('reason')}.")

    return words


def _kill_switch(facts: Facts) -> Reason:
    layer, state = facts.text("layer"), facts.text("state") or "thrown"
    so = "Nothing but cancels and protection" if state == "HALTED" else "Exits only"
    why = ", ".join(part for part in (facts.text("reason"), facts.text("by") and f"by {facts.text('by')}") if part)
    return Reason(
        f"Kill switch{f' · {layer_word(layer)}' if layer else ''}", f"{state}. {so}{': ' if why else ''}{why}."
    )


def _fixed(title: str, text: str) -> Callable[[Facts], Reason]:
    return lambda facts: Reason(title, text.format(facts=facts))


_WORDS: dict[str, Callable[[Facts], Reason]] = {
    "": _nothing_bound,
    "balance": _balance,
    "exposure": _share_of_equity("Exposure limit"),
    "position_size": _share_of_equity("Position size limit"),
    "open_positions": _count("Open positions", "are open or on their way"),
    "daily_entries": _count("Entries per day", "were used today"),
    "cooldown": _cooldown,
    "daily_loss": _daily_loss,
    "leverage": _leverage,
    "short_unsupported": _fixed(
        "No short selling", "{facts.market.symbol} is spot: it is bought and sold from stock, never sold short."
    ),
    "stop_missing": _fixed("No stop", "The size follows from the risk to the stop, and the signal names none."),
    "stop_side": _stop_side,
    "minimum_size": lambda facts: Reason("Smallest order · venue", _sentence(facts.text("minimum"))),
    "balance_unknown": _fixed("Balance not known", "The venue has not reported the account's money yet."),
    "currency": lambda facts: Reason(
        "Other currency",
        f"The account holds {facts.text('account')}; {facts.market.symbol} is paid in {facts.text('instrument')}.",
    ),
    "pair": lambda facts: Reason(
        "Other market",
        f"{facts.text('signal_instrument')} and {facts.text('traded_instrument')} are not of one asset pair.",
    ),
    "basis": _basis,
    "faulty": lambda facts: Reason("Terms that cannot be", _sentence(facts.text("problem"))),
    "late": _late,
    "not_tradable": lambda facts: Reason(
        "Not tradable now",
        f"The venue says that {facts.market.symbol} is {facts.text('state').replace('_', ' ')}: it takes no such entries. Exits are sent.",
    ),
    "paused": _fixed("Subscription paused", "It takes no entries; exits and protection go on."),
    "ended": _fixed("Subscription ended", "It takes no entries; what was open keeps its exits and protection."),
    "account_reducing": _account("REDUCING", "Exits only"),
    "account_halted": _account("HALTED", "Nothing but cancels"),
    "kill_switch": _kill_switch,
    "difference": lambda facts: Reason(
        "Books and venue differ", f"{title(facts.text('kind'))}: entries wait until it is explained."
    ),
    "position_open": _fixed("Already in", "{facts.market.symbol} is held in this direction."),
    "opposite_open": _fixed(
        "Opposite position open", "A strategy turns round with an exit first; this signal came without one."
    ),
    "entry_under_way": _fixed("Entry under way", "An earlier entry has not been filled or ended yet."),
    "no_position": _fixed("Nothing to exit", "No open position in this direction."),
    "outage": _fixed(
        "Missed in an outage", "The exit was seen too late; what is done about such is the subscription's own choice."
    ),
    "already_closing": _fixed("Already closing", "An exit is under way."),
    "price_far": lambda facts: Reason(
        "Limit far from the market",
        f"{facts.level('price')} is more than {percent(facts.number('limit'))} away from {facts.level('market')}.",
    ),
    NOT_APPROVED: lambda facts: Reason(
        "Larger than was agreed to",
        f"{facts.size('quantity')} at {facts.level('price')} are worth {facts.amount('worth')};"
        f" up to {facts.amount('approved')} was agreed to. Look at it again and order anew.",
    ),
    "filled": _fixed("Filled already", "The order was filled before it could be changed; what is filled stays."),
    "not_replaced": _fixed("Not changed", "The order ended by itself before it could be changed."),
    "flattened": _fixed("Flattened", "The account was being closed out; entries that waited were taken back."),
}
