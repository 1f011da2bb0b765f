"""An order's life in the order of time: decided, asked, answered, commanded, filled, ended. Made from rows that are kept for ever."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from signalist.domain.money import plain
from signalist.trading.command_records import CommandLine
from signalist.trading.order_book import Attempt, OrderRecord

_ASKED = {"PLACE": "Sent to the venue", "CANCEL": "Cancel sent to the venue", "AMEND": "Change sent to the venue"}
_COMMANDED = {"CANCEL": "Cancel commanded", "AMEND": "Change commanded"}


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to an order. `look` is the class of its mark; `note` may be empty."""

    at: datetime
    words: str
    note: str = ""
    look: str = "idle"


def history(record: OrderRecord, commands: Sequence[CommandLine]) -> list[Step]:
    """The steps of an order, oldest first; its end comes last, whatever the milliseconds of an answer say."""
    order = record.order
    steps = [Step(order.created_at, "Decided", f"{order.side.lower()} {plain(order.quantity)} {order.market.base}")]
    steps += _commanded(commands)
    for attempt in record.attempts:
        steps += _asked(attempt)
    for fill in record.fills:
        note = f"{plain(fill.quantity)} {order.market.base} at {plain(fill.price)} {order.market.quote}"
        steps.append(Step(fill.time, "Filled", note, "ok"))
    steps.sort(key=lambda step: step.at)
    if order.status.is_final and order.status != "FILLED":
        left = f"{plain(order.filled)} of {plain(order.quantity)} {order.market.base} filled"
        steps.append(Step(order.updated_at, order.status.value.capitalize(), f"{left}. {order.reason}".strip(), "warn"))
    elif order.is_unknown:
        steps.append(Step(order.updated_at, "In doubt", order.reason, "bad"))
    return steps


def _commanded(commands: Iterable[CommandLine]) -> Iterator[Step]:
    for command in commands:
        by = command.by or "the engine"
        yield Step(command.at, _COMMANDED.get(command.kind, command.words), f"by {by}", "info")


def _asked(attempt: Attempt) -> Iterator[Step]:
    yield Step(attempt.sent_at, _ASKED[attempt.action], f"attempt {attempt.number}", "info")
    if attempt.success is None or attempt.latency is None:
        return
    answered = attempt.sent_at + timedelta(milliseconds=attempt.latency)
    took = f"after {attempt.latency:.0f} ms"
    if attempt.success:
        yield Step(answered, "Accepted by the venue", took, "ok")
    else:
        yield Step(answered, "Not accepted", f"{attempt.error_type} {took}: {attempt.error_message}", "bad")
