"""What an entry would be under terms that somebody is still choosing: by the rules that decide uses, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from signalist.accounts.own_fees import with_own_fees
from signalist.domain.errors import DomainError
from signalist.domain.instruments import InstrumentSpec
from signalist.domain.money import ZERO, plain, settle
from signalist.domain.rules import (
    Allowed,
    Decision,
    Denied,
    EntryRequest,
    Resized,
    daily_loss_limit,
    decide_entry,
    strictest,
)
from signalist.domain.signals import Levels, SignalKind, reanchor
from signalist.domain.sizing import margin
from signalist.execution.cooldowns import last_entries, since_entry
from signalist.execution.entries import entry_request
from signalist.execution.standing import picture
from signalist.marketplace.selectors import ENTRIES
from signalist.strategies.models import Signal
from signalist.trading.decision_words import Facts, Reason, reason
from signalist.trading.labels import Market
from signalist.trading.models import Execution, ExecutionStatus, Subscription

EXAMPLE_STOP, EXAMPLE_TARGET = Decimal("0.01"), Decimal("0.02")
"""How far stop and target of an example lie from the price, as fractions."""
NEAR = Decimal("0.8")
PERCENT, COUNT, MONEY = "percent", "count", "money"


class NoPreview(Exception):
    """There is nothing to preview yet; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """How much of a limit is used after the trade. `kind` is how both numbers are written; `layer` set the limit."""

    name: str
    used: Decimal
    limit: Decimal
    kind: str
    layer: str

    @property
    def state(self) -> str:
        """`bad` at the limit, `warn` from four fifths of it."""
        if self.used >= self.limit:
            return "bad"
        return "warn" if self.used >= self.limit * NEAR else ""


@dataclass(frozen=True, slots=True)
class Pause:
    """How long entries keep apart, from signal to signal, and which layer says so; `since` the last entry's signal, None where there is
    none that still counts. Seconds."""

    seconds: Decimal
    layer: str
    since: Decimal | None

    @property
    def holds(self) -> bool:
        """Whether an entry would be denied for it now."""
        return self.since is not None and self.since < self.seconds


@dataclass(frozen=True, slots=True)
class Preview:
    """An entry as it would be decided now; where nothing but the pause between entries stands in its way, with the size that it will have
    after that. Amounts are in the market's quote currency; what is lost is negative.

    `at` is the close of the candle whose signal it is, None for an example. `loss` and `gain` are None where the signal names no stop or
    no target; both are before fees, `fees` those of entering and leaving together, assumed.
    """

    at: datetime | None
    market: Market
    direction: str
    price: Decimal
    stop: Decimal | None
    target: Decimal | None
    status: str
    why: Reason
    asked: Decimal
    quantity: Decimal
    value: Decimal
    margin: Decimal
    leverage: Decimal
    fees: Decimal
    loss: Decimal | None
    gain: Decimal | None
    capital: Decimal
    gauges: tuple[Gauge, ...]
    pause: Pause | None = None

    @property
    def risk_fraction(self) -> Decimal | None:
        """What is lost at the stop, as a fraction of the capital."""
        return None if self.loss is None else -self.loss / self.capital

    @property
    def stop_distance(self) -> Decimal | None:
        return None if self.stop is None else abs(self.price - self.stop)

    @property
    def loss_after_fees(self) -> Decimal | None:
        return None if self.loss is None else self.loss - self.fees

    @property
    def gain_after_fees(self) -> Decimal | None:
        return None if self.gain is None else self.gain - self.fees


def preview(subscription: Subscription, now: datetime) -> Preview:
    """The entry that `subscription`, saved or not, would make on its strategy's last signal, or on an example where there is none yet.

    Raises NoPreview. An unsaved one has the primary key 0. Writes nothing and locks nothing; about ten queries.
    """
    signal = _last_entry(subscription, now)
    kind = SignalKind.LONG if signal is None else SignalKind(signal.kind)
    execution = Execution(subscription=subscription, account_id=subscription.account_id, kind=kind.value)
    known = picture([execution], now, lock="")
    book, spec = known.accounts[subscription.account_id], known.spec(subscription.instrument_id)
    if book.balance is None:
        raise NoPreview(
            "The venue has not reported this account's money yet. That takes a few seconds after it was opened."
        )
    if book.account.currency != spec.quote:
        raise NoPreview(f"{spec.symbol} is paid in {spec.quote}, the account holds {book.account.currency}.")
    latest = known.prices.get(subscription.instrument_id)
    spec = with_own_fees(book.account, spec)
    price, levels = _prices(signal, subscription, spec, None if latest is None else latest[0])
    standing = known.standing(subscription.pk, book)
    request = entry_request(subscription, kind.direction, spec, price, levels, standing)
    try:
        decision = decide_entry(request)
    except DomainError as error:
        raise NoPreview(str(error)) from None
    last = last_entries([execution], now) if subscription.pk else {}  # one that is not saved yet has entered nothing
    since = since_entry(execution, last, now)
    request = replace(request, standing=replace(standing, since_entry=since))
    return shown(request, decision, Market.of(subscription.instrument), None if signal is None else signal.candle_close)


def _last_entry(subscription: Subscription, now: datetime) -> Signal | None:
    """The newest entry of the followed schedule that its followers have had their chance at."""
    entries = Signal.objects.filter(schedule=subscription.schedule_id, kind__in=ENTRIES, deadline__lte=now)
    return entries.order_by("-candle_close", "-pk").first()


def _prices(
    signal: Signal | None, subscription: Subscription, spec: InstrumentSpec, latest: Decimal | None
) -> tuple[Decimal, Levels]:
    """Price and levels on the traded instrument: the signal's own, or carried there, or those of an example at the latest price."""
    followed = subscription.schedule
    if signal is not None and followed is not None and followed.instrument_id == subscription.instrument_id:
        return signal.reference_price, Levels(signal.stop, signal.target)
    if latest is None:
        raise NoPreview(f"There is no price of {spec.symbol} yet; the preview needs one.")
    if signal is not None:
        return latest, reanchor(Levels(signal.stop, signal.target), signal.reference_price, latest, spec)
    return latest, Levels(spec.price(latest * (1 - EXAMPLE_STOP)), spec.price(latest * (1 + EXAMPLE_TARGET)))


def shown(request: EntryRequest, decision: Decision, market: Market, at: datetime | None) -> Preview:
    """A decision on `request` as it is shown; `at` is the close of the candle whose signal it is, if any."""
    quantity = ZERO if isinstance(decision, Denied) else decision.quantity
    value = settle(quantity * request.price)
    levels, sign, pause = request.levels, request.direction.sign, _pause(request)
    if pause is not None and pause.holds and quantity:
        numbers = {**decision.numbers, "current": pause.since, "limit": pause.seconds, "layer": pause.layer}
        decision = Denied("cooldown", numbers)

    def result(level: Decimal | None) -> Decimal | None:
        return None if level is None else settle((level - request.price) * sign * quantity)

    loss = result(levels.stop)
    return Preview(
        at=at,
        market=market,
        direction=request.direction.value,
        price=request.price,
        stop=levels.stop,
        target=levels.target,
        status=_status(decision),
        why=_why(request, decision, market),
        asked=Decimal(str(decision.numbers.get("asked") or 0)),
        quantity=quantity,
        value=value,
        margin=margin(value, request.leverage),
        leverage=request.leverage,
        fees=settle(2 * value * request.fee_rate),
        loss=loss,
        gain=result(levels.target),
        capital=request.capital,
        gauges=tuple(_gauges(request, value, loss)) if quantity else (),
        pause=pause,
    )


def _pause(request: EntryRequest) -> Pause | None:
    bound = strictest(request.layers).get("cooldown")
    return None if bound is None else Pause(Decimal(bound.value), bound.layer, request.standing.since_entry)


def _status(decision: Decision) -> str:
    if isinstance(decision, Allowed):
        return ExecutionStatus.TAKEN.value
    return ExecutionStatus.RESIZED.value if isinstance(decision, Resized) else ExecutionStatus.DENIED.value


def _why(request: EntryRequest, decision: Decision, market: Market) -> Reason:
    rule = "" if isinstance(decision, Allowed) else decision.rule
    stored = {name: plain(settle(v)) if isinstance(v, Decimal) else v for name, v in decision.numbers.items()}
    return reason(
        Facts(_status(decision), rule, request.direction.value, stored, market, request.standing.day_start_equity)
    )


def _gauges(request: EntryRequest, value: Decimal, loss: Decimal | None) -> list[Gauge]:
    """The account and the subscription as they would stand after the trade, against the strictest limit of each kind."""
    bounds, standing = strictest(request.layers), request.standing
    paid = margin(value, request.leverage) + settle(value * request.fee_rate)
    found = [Gauge("Free money, for margin and fee", paid, standing.available, MONEY, "account")]

    def add(kind: str, name: str, used: Decimal, written: str) -> None:
        if kind in bounds:
            found.append(Gauge(name, used, bounds[kind].value, written, bounds[kind].layer))

    if standing.equity > 0:
        add("position_fraction", "Position value, of equity", value / standing.equity, PERCENT)
        add("exposure_fraction", "Exposure, of equity", (standing.exposure + value) / standing.equity, PERCENT)
    lost = max(-standing.result_today, ZERO) - (loss or ZERO)
    limit = daily_loss_limit(bounds, standing.day_start_equity)
    if limit is not None:
        found.append(Gauge("Loss today, if the stop fills", lost, limit[0].value, MONEY, limit[0].layer))
    add("open_positions", "Open positions, account", Decimal(standing.open_positions + 1), COUNT)
    add("daily_entries", "Entries today, subscription", Decimal(standing.entries_today + 1), COUNT)
    return found
