"""Rows as the API says them. Ids are those that pages use; exact numbers become texts on the way out."""

from __future__ import annotations

from typing import Any

from signalist.accounts.models import Account
from signalist.trading.models import Execution, Order, Position, Subscription, Trade


def account(row: Account) -> dict[str, Any]:
    """An account, with the venue's last word on its money; `balance` is null until there was one."""
    money = getattr(row, "balance", None)
    balance = None if money is None else {"total": money.total, "available": money.available, "at": money.at}
    return {
        "id": row.public_id,
        "name": row.name,
        "venue": row.venue,
        "currency": row.currency,
        "state": row.state,
        "state_reason": row.state_reason,
        "balance": balance,
    }


def subscription(row: Subscription) -> dict[str, Any]:
    """A subscription and its terms; fractions, never percents."""
    return {
        "id": row.public_id,
        "account": row.account.public_id,
        "strategy": None if row.strategy is None else row.strategy.slug,
        "instrument": row.instrument.symbol,
        "status": row.status,
        "capital": row.capital,
        "risk_fraction": row.risk_fraction,
        "notional_fraction": row.notional_fraction,
        "leverage": row.leverage,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
    }


def position(row: Position) -> dict[str, Any]:
    """A position, open or closed."""
    return {
        "id": row.pk,
        "account": row.account.public_id,
        "subscription": row.subscription.public_id,
        "instrument": row.instrument.symbol,
        "direction": row.direction,
        "is_open": row.is_open,
        "quantity": row.quantity,
        "entry_quantity": row.entry_quantity,
        "entry_value": row.entry_value,
        "exit_quantity": row.exit_quantity,
        "exit_value": row.exit_value,
        "fees": row.fees,
        "stop": row.stop,
        "target": row.target,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
    }


# The seven states that programs know (EXE-23); how far a request has got is in `in_doubt`.
_SHOWN = {
    "CREATED": "PENDING",
    "SENDING": "SUBMITTED",
    "WORKING": "SUBMITTED",
    "UNKNOWN": "SUBMITTED",
    "DENIED": "REJECTED",
}


def order(row: Order) -> dict[str, Any]:
    """An order. `in_doubt`: nobody knows yet whether the venue has it."""
    return {
        "id": row.client_order_id,
        "venue_order_id": row.venue_order_id or None,
        "account": row.account.public_id,
        "subscription": row.subscription.public_id,
        "instrument": row.instrument.symbol,
        "leg": row.leg,
        "side": row.side,
        "type": row.type,
        "quantity": row.quantity,
        "price": row.price,
        "trigger": row.trigger,
        "status": _SHOWN.get(row.status, row.status),
        "in_doubt": row.status == "UNKNOWN",
        "filled": row.filled,
        "filled_value": row.filled_value,
        "fees": row.fees,
        "reason": row.reason,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def trade(row: Trade) -> dict[str, Any]:
    """A closed round trip; amounts in `currency`, `net` after all fees."""
    return {
        "id": row.pk,
        "position": row.position_id,
        "account": row.account.public_id,
        "subscription": row.subscription.public_id,
        "instrument": row.instrument.symbol,
        "direction": row.direction,
        "quantity": row.quantity,
        "entry_price": row.entry_price,
        "exit_price": row.exit_price,
        "gross": row.gross,
        "fees": row.fees,
        "net": row.net,
        "currency": row.currency,
        "exit_type": row.exit_type,
        "opened_at": row.opened_at,
        "closed_at": row.closed_at,
    }


def decision(row: Execution) -> dict[str, Any]:
    """A signal as it concerned one subscription, and what was decided."""
    signal = row.signal
    assert signal is not None
    return {
        "id": row.pk,
        "signal": signal.public_id,
        "kind": row.kind,
        "candle_close": signal.candle_close,
        "reference_price": signal.reference_price,
        "subscription": row.subscription.public_id,
        "decision": row.status,
        "rule": row.rule or None,
        "quantity": row.quantity,
        "decided_at": row.decided_at,
    }
