"""What the books of a finished or killed replay must hold, read past Django from the tables, the venue's own above all."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from tests.flows.commands import OwnDatabase, manage

_REALISED = """
SELECT a.venue_ref, COALESCE(a.deposit, s.capital), p.direction,
    p.entry_quantity, p.entry_value, p.exit_quantity, p.exit_value, p.fees
FROM accounts_account a
LEFT JOIN trading_subscription s ON s.account_id = a.id
LEFT JOIN trading_position p ON p.subscription_id = s.id
"""


def cash_by_our_books(database: OwnDatabase) -> dict[str, Decimal]:
    """Per account: the deposit, plus what its positions have realised after fees."""
    cash: dict[str, Decimal] = {}
    for ref, capital, direction, *sums in database.rows(_REALISED):
        cash.setdefault(ref, Decimal(str(capital)))
        if direction is None:
            continue
        entered, entry_value, left, exit_value, fees = (Decimal(str(value)) for value in sums)
        gross = exit_value - entry_value * left / entered
        cash[ref] += (gross if direction == "LONG" else -gross) - fees
    return cash


def entries_per_tag(database: OwnDatabase) -> Counter[tuple[str, str]]:
    """Accepted orders that open a position, by account and tag, in the venue's book."""
    return Counter(database.rows("SELECT ref, tag FROM accounts_paperorder WHERE NOT reduce_only"))


def stops_under_positions(database: OwnDatabase) -> dict[tuple[str, str], list[Decimal]]:
    """What is left of the resting stops under every open position of the venue's book."""
    held: dict[tuple[str, str], list[Decimal]] = {
        (ref, symbol): []
        for ref, symbol, quantity in database.rows("SELECT ref, symbol, quantity FROM accounts_paperposition")
        if Decimal(str(quantity)) != 0
    }
    for ref, symbol, quantity, filled in database.rows(
        "SELECT ref, symbol, quantity, filled FROM accounts_paperorder"
        " WHERE reduce_only AND type = 'STOP' AND status IN ('WORKING', 'PARTIAL')"
    ):
        assert (ref, symbol) in held, f"a stop of {ref} rests under no position in {symbol}"
        held[ref, symbol].append(Decimal(str(quantity)) - Decimal(str(filled)))
    return held


def open_quantities(database: OwnDatabase) -> dict[tuple[str, str], Decimal]:
    """How much is open in the venue's book, without its sign."""
    found = database.rows("SELECT ref, symbol, quantity FROM accounts_paperposition")
    quantities = {(ref, symbol): abs(Decimal(str(quantity))) for ref, symbol, quantity in found}
    return {key: quantity for key, quantity in quantities.items() if quantity}


def assert_books_balance(database: OwnDatabase) -> None:
    """One entry per tag, one stop that covers each position, the venue's cash as we booked it, and projections true to the fills."""
    assert max(entries_per_tag(database).values()) == 1
    quantities = open_quantities(database)
    for place, stops in stops_under_positions(database).items():
        assert stops == [quantities[place]], f"{place} is covered by {stops}, {quantities[place]} is open"
    booked, held = cash_by_our_books(database), database.numbers("SELECT ref, cash FROM accounts_paperaccount")
    assert {ref: round(cash, 8) for ref, cash in booked.items()} == {ref: round(cash, 8) for ref, cash in held.items()}
    checked = manage(database, "rebuild", "--check")
    assert checked.status == 0, checked.out + checked.err
