"""The error table: every way in which a venue can fail says what may be done next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from signalist.venues import errors
from signalist.venues.errors import Next, VenueError


def _classes(base: type[VenueError] = VenueError) -> Iterator[type[VenueError]]:
    yield base
    for derived in base.__subclasses__():
        yield from _classes(derived)


OURS = [error for error in _classes() if error.__module__ == errors.__name__]


@pytest.mark.parametrize(
    ("error", "following"),
    [
        (errors.VenueError, Next.UNKNOWN),
        (errors.NoAnswer, Next.UNKNOWN),
        (errors.Busy, Next.RETRY),
        (errors.NotSent, Next.RETRY),
        (errors.SessionLost, Next.RECONNECT),
        (errors.Refused, Next.FINAL),
        (errors.InsufficientFunds, Next.FINAL),
        (errors.UnknownInstrument, Next.FINAL),
        (errors.NoMarket, Next.FINAL),
        (errors.DuplicateOrder, Next.UNKNOWN),
        (errors.BadCredential, Next.FINAL),
        (errors.NotOpened, Next.FINAL),
        (errors.OrderNotOpen, Next.FINAL),
    ],
)
def test_an_error_says_what_may_be_done_next(error: type[VenueError], following: Next) -> None:
    assert error.next is following


def test_only_what_was_certainly_not_carried_out_may_be_sent_again() -> None:
    assert [error for error in OURS if error.next is Next.RETRY] == [errors.Busy, errors.NotSent]


def test_every_error_has_a_stable_word_of_its_own() -> None:
    words = [error.code for error in OURS]
    assert len(set(words)) == len(words) == 14
    assert all(word == word.lower() and " " not in word for word in words)


def test_a_refusal_of_whatever_kind_is_a_refusal() -> None:
    final = {error for error in OURS if error.next is Next.FINAL}
    assert all(issubclass(error, errors.Refused) for error in final)
