"""May this entry be made, and how large: limits as pure rules.

`decide_entry` answers with a value, never an exception: Allowed, Resized (smaller than sized, by which rule) or
Denied (by which rule), each with the numbers it was decided on, which become the decision record.
Limits are layered, platform ≥ author ≥ tenant ≥ account ≥ subscription; the strictest binds and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import ROUND_FLOOR, Context, Decimal, localcontext

from .instruments import InstrumentSpec
from .money import WIDE, ZERO
from .signals import Direction, Levels, levels_error
from .sizing import margin, notional_quantity, risk_quantity

Numbers = Mapping[str, Decimal | int | str | None]

# Products are exact and the one quotient is cut, with fewer digits than the rounding to the lot has: no cap is passed by a last one.
_DOWN = Context(prec=WIDE.prec - 8, rounding=ROUND_FLOOR)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The entry may be made in the size that its risk asks for."""

    quantity: Decimal
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Resized:
    """The entry may be made, smaller than asked; `rule` is the one that bound."""

    quantity: Decimal
    rule: str
    numbers: Numbers


@dataclass(frozen=True, slots=True)
class Denied:
    """No order is made; `rule` says why (denied by us, as opposed to rejected by the venue)."""

    rule: str
    numbers: Numbers


Decision = Allowed | Resized | Denied


@dataclass(frozen=True, slots=True)
class Limits:
    """One layer's limits; None where the layer sets none. Amounts are in the account's currency, fractions of its equity or capital.

    `cooldown`: seconds from the signal of one entry to that of the next, at the least (EXE-37).
    """

    open_positions: int | None = None
    daily_entries: int | None = None
    daily_loss_amount: Decimal | None = None
    daily_loss_fraction: Decimal | None = None
    exposure_fraction: Decimal | None = None
    position_fraction: Decimal | None = None
    cooldown: int | None = None


_AT_LEAST = ("cooldown",)
"""Limits of which the largest is the strictest."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The strictest limit of its kind and the layer that set it."""

    value: Decimal
    layer: str


def strictest(layers: Sequence[tuple[str, Limits]]) -> dict[str, Bound]:
    """The binding limit of every kind; where two layers agree, the outer (earlier) one is named."""
    bounds: dict[str, Bound] = {}
    for layer, limits in layers:
        for item in fields(limits):
            value = getattr(limits, item.name)
            if value is not None and (
                item.name not in bounds or _is_stricter(item.name, value, bounds[item.name].value)
            ):
                bounds[item.name] = Bound(Decimal(value), layer)
    return bounds


def _is_stricter(name: str, value: Decimal | int, than: Decimal) -> bool:
    return value > than if name in _AT_LEAST else value < than


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account and a subscription stand at the moment of decision, in the account's currency.

    `available` is the venue's free balance minus our reservations; `result_today` is the day's realised result
    plus open P&L, net of fees, negative when losing; `exposure` is the notional value of open positions and
    entries under way; `day_start_equity` is the base of the fractional daily loss. `since_entry`: seconds from the signal of the last
    entry that was taken to this one, None where there was none that a limit could be about.
    """

    available: Decimal
    equity: Decimal
    day_start_equity: Decimal
    open_positions: int
    entries_today: int
    result_today: Decimal
    exposure: Decimal
    since_entry: Decimal | None = None


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """An entry that a signal or a person asks for. Exactly one of `risk_fraction`, `notional_fraction` and `quantity` sizes it."""

    direction: Direction
    spec: InstrumentSpec
    price: Decimal
    levels: Levels
    capital: Decimal
    risk_fraction: Decimal | None
    notional_fraction: Decimal | None
    leverage: Decimal
    fee_rate: Decimal
    standing: Standing
    layers: Sequence[tuple[str, Limits]] = field(default=())
    quantity: Decimal | None = None


def decide_entry(request: EntryRequest) -> Decision:
    """Decide an entry: first what forbids it, then its size, then what makes it smaller, last the venue's minimums."""
    bounds = strictest(request.layers)
    refused = (
        _capability(request)
        or _stop(request)
        or _counts(request.standing, bounds)
        or _daily_loss(request.standing, bounds)
    )
    if refused is not None:
        return refused
    asked = _asked(request)
    caps = _caps(request, bounds)
    rule, cap = min(caps.items(), key=lambda item: item[1][0])
    wanted, quantity = request.spec.quantity(asked), request.spec.quantity(min(asked, max(cap[0], ZERO)))
    numbers: dict[str, Decimal | int | str | None] = {
        "price": request.price,
        "stop": request.levels.stop,
        "asked": wanted,
        "quantity": quantity,
        "margin": margin(quantity * request.price, request.leverage),
        "loss_at_stop": None if request.levels.stop is None else quantity * abs(request.price - request.levels.stop),
        "available": request.standing.available,
    }
    bound = quantity < wanted
    if bound:
        numbers |= {"limit": cap[1].value, "layer": cap[1].layer}
    too_small = request.spec.too_small(quantity, request.price)
    if too_small is not None:
        return Denied(rule if bound else "minimum_size", numbers | {"minimum": too_small})
    return Resized(quantity, rule, numbers) if bound else Allowed(quantity, numbers)


def _capability(request: EntryRequest) -> Denied | None:
    if request.direction is Direction.SHORT and not request.spec.can_short:
        return Denied("short_unsupported", {"instrument": request.spec.name, "kind": request.spec.kind.value})
    if request.leverage > request.spec.max_leverage:
        return Denied("leverage", {"leverage": request.leverage, "limit": request.spec.max_leverage, "layer": "venue"})
    return None


def _stop(request: EntryRequest) -> Denied | None:
    if request.risk_fraction is not None and request.levels.stop is None:
        return Denied("stop_missing", {"price": request.price})
    problem = levels_error(request.direction, request.price, request.levels)
    if problem is not None:
        numbers: Numbers = {"price": request.price, "stop": request.levels.stop, "target": request.levels.target}
        return Denied("stop_side", {**numbers, "problem": problem})
    return None


def _counts(standing: Standing, bounds: Mapping[str, Bound]) -> Denied | None:
    for rule, current in (("open_positions", standing.open_positions), ("daily_entries", standing.entries_today)):
        bound = bounds.get(rule)
        if bound is not None and current >= bound.value:
            return Denied(rule, {"current": current, "limit": bound.value, "layer": bound.layer})
    pause, since = bounds.get("cooldown"), standing.since_entry
    if pause is not None and since is not None and since < pause.value:
        return Denied("cooldown", {"current": since, "limit": pause.value, "layer": pause.layer})
    return None


def daily_loss_limit(bounds: Mapping[str, Bound], day_start_equity: Decimal) -> tuple[Bound, str] | None:
    """Amount and fraction are two fields; the tighter binds (CON-11): as an amount, and which of the two it is; None without either."""
    allowed: list[tuple[Bound, str]] = []
    if (amount := bounds.get("daily_loss_amount")) is not None:
        allowed.append((amount, "daily_loss_amount"))
    if (fraction := bounds.get("daily_loss_fraction")) is not None:
        allowed.append((Bound(fraction.value * day_start_equity, fraction.layer), "daily_loss_fraction"))
    return min(allowed, key=lambda item: item[0].value, default=None)


def _daily_loss(standing: Standing, bounds: Mapping[str, Bound]) -> Denied | None:
    found = daily_loss_limit(bounds, standing.day_start_equity)
    if found is None:
        return None
    bound, name = found
    if -standing.result_today >= bound.value and standing.result_today < 0:
        return Denied(
            "daily_loss",
            {"result_today": standing.result_today, "limit": bound.value, "kind": name, "layer": bound.layer},
        )
    return None


def _asked(request: EntryRequest) -> Decimal:
    if request.quantity is not None:
        return request.quantity
    if request.notional_fraction is not None:
        return notional_quantity(request.capital, request.notional_fraction, request.price)
    assert request.risk_fraction is not None and request.levels.stop is not None  # _stop has refused the rest
    return risk_quantity(request.capital, request.risk_fraction, request.price, request.levels.stop)


def _caps(request: EntryRequest, bounds: Mapping[str, Bound]) -> dict[str, tuple[Decimal, Bound]]:
    """The largest quantity that each rule admits, with the limit behind it. Balance always binds: an order is paid for, with its fee."""
    price, leverage, standing = request.price, request.leverage, request.standing
    with localcontext(_DOWN):
        paid_for = standing.available * leverage / (price * (1 + request.fee_rate * leverage))
        caps = {"balance": (paid_for, Bound(standing.available, "account"))}
        if (exposure := bounds.get("exposure_fraction")) is not None:
            caps["exposure"] = ((exposure.value * standing.equity - standing.exposure) / price, exposure)
        if (position := bounds.get("position_fraction")) is not None:
            caps["position_size"] = (position.value * standing.equity / price, position)
    return caps
