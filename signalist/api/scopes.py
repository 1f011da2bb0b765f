"""What a key may do: one word for each kind of thing that the API shows."""

from __future__ import annotations

SCOPES = {
    "accounts:read": "Trading accounts and their balances",
    "positions:read": "Open and closed positions",
    "orders:read": "Orders",
    "trades:read": "Closed trades",
    "subscriptions:read": "Subscriptions and their terms",
    "markets:read": "Markets: prices, candles and indicators",
    "signals:read": "Signals and what was decided on them",
}
