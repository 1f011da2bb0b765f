"""Mailboxes: a stream's word is taken for the venue's only as long as nothing is missing in it."""

from __future__ import annotations

from decimal import Decimal

from signalist.venues.base import Balance, Reports
from signalist.venues.loopback.mailboxes import TRUSTED, Mailbox

MONEY = Balance("USD", Decimal(100), Decimal(100))


def row(number: int) -> list[str]:
    """A fill on the tape."""
    head = [f"order-{number}", "venue", "ABC", "BUY", "FILLED", "1", "1", "", "2024-05-06T12:00:00+00:00"]
    return [*head, f"fill-{number}", "1", "10", "0.1", str(100 - number), str(90 - number)]


def told(box: Mailbox, cursor: str, now: float = 0.0) -> list[str] | None:
    """The fills that a mailbox tells of; None where the venue has to be asked."""
    reports = box.after(cursor, now)
    return None if reports is None else [fill.venue_fill_id for fill in reports.fills]


def joined(length: int = 0) -> Mailbox:
    box = Mailbox("somebody")
    box.joined(length, MONEY, 0.0)
    return box


def test_it_knows_nothing_before_it_has_joined() -> None:
    box = Mailbox("somebody")
    box.take(0, 1, [row(1)])
    assert told(box, "") is None
    box.read(Reports((), (), MONEY, "1"), 0.0)
    assert told(box, "1") is None


def test_it_tells_what_came_behind_the_cursor_until_the_cursor_has_passed_it() -> None:
    box = joined()
    box.take(0, 1, [row(1)])
    box.take(1, 2, [row(2)])
    assert told(box, "") == ["fill-1", "fill-2"]
    assert told(box, "") == ["fill-1", "fill-2"]
    assert told(box, "1") == ["fill-2"]
    assert told(box, "2") == []
    assert told(box, "1") is None


def test_it_names_the_balance_after_what_it_tells() -> None:
    box = joined()
    box.take(0, 1, [row(1)])
    reports = box.after("", 0.0)
    assert reports is not None
    assert (reports.balance, reports.cursor) == (Balance("USD", Decimal(99), Decimal(89)), "1")


def test_a_gap_ends_its_trust_until_the_venue_has_answered() -> None:
    box = joined()
    box.take(1, 2, [row(2)])
    assert told(box, "") is None
    box.read(Reports((), (), MONEY, "2"), 0.0)
    assert told(box, "2") == []


def test_an_answer_that_is_older_than_the_stream_is_not_the_whole_truth() -> None:
    box = joined()
    box.take(1, 2, [row(2)])
    box.read(Reports((), (), MONEY, "1"), 0.0)
    assert told(box, "1") is None


def test_what_happened_before_it_joined_is_asked_for() -> None:
    box = joined(5)
    assert told(box, "3") is None
    assert told(box, "5") == []


def test_it_says_on_joining_whether_its_reader_is_behind() -> None:
    box = joined()
    assert told(box, "") == []
    box.lose()
    assert not box.joined(0, MONEY, 0.0)
    box.lose()
    assert box.joined(1, MONEY, 0.0)


def test_it_trusts_a_stream_for_so_long_and_no_longer() -> None:
    box = joined()
    assert told(box, "", TRUSTED) == []
    assert told(box, "", 2 * TRUSTED) is None
    box.read(Reports((), (), MONEY, "0"), 2 * TRUSTED)
    assert told(box, "0", 2 * TRUSTED) == []
