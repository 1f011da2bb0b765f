"""What was claimed before an engine fell silent for too long does not leave the house, whatever it is and however late that turns out."""

from __future__ import annotations

import asyncio
import time

import pytest

from signalist.venues.errors import Next, NotSent
from signalist.venues.transport.budgets import Budget
from signalist.venues.transport.fence import Tenure, check, fenced
from signalist.venues.transport.http import Call
from signalist.venues.transport.ledger import Draw
from tests.venues.test_http import saying, venue

OPEN, CLOSED = float("inf"), float("-inf")


class Hands:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


def test_heartbeats_in_time_keep_open_what_was_claimed_before_them() -> None:
    hands = Hands()
    tenure = Tenure(6.0, hands)
    tenure.renewed(100.0)
    fence = tenure.fence()
    tenure.renewed(104.0)
    tenure.renewed(110.0)
    assert fence() == 116.0


def test_one_that_came_late_does_not_open_again_what_had_been_claimed() -> None:
    tenure = Tenure(6.0, Hands())
    tenure.renewed(100.0)
    before = tenure.fence()
    assert before() == 106.0
    tenure.renewed(106.1)
    assert before() == CLOSED
    assert tenure.fence()() == pytest.approx(112.1)


def test_one_who_gives_up_sends_nothing_of_before_and_nothing_new_until_the_next_heartbeat() -> None:
    tenure = Tenure(6.0, Hands())
    before = tenure.fence()
    tenure.lapse()
    since = tenure.fence()
    assert (before(), since()) == (CLOSED, CLOSED)
    tenure.renewed(101.0)
    assert (before(), since(), tenure.fence()()) == (CLOSED, CLOSED, 107.0)


def test_a_heartbeat_counts_from_when_it_began() -> None:
    hands = Hands()
    tenure = Tenure(6.0, hands)
    begun, hands.at = 100.0, 109.0
    tenure.renewed(begun)
    assert tenure.fence()() == 106.0, "frozen while it wrote its heartbeat, it must not think that it was seen now"


def test_nothing_is_fenced_where_there_is_no_lease() -> None:
    check()
    with fenced(None):
        check()


def test_a_fence_holds_within_and_no_longer() -> None:
    with fenced(lambda: CLOSED), pytest.raises(NotSent) as refused:
        check()
    assert refused.value.next is Next.RETRY
    check()


async def test_no_byte_leaves_behind_the_fence_whatever_the_request() -> None:
    async with venue(saying("200 OK")) as (server, http):
        with fenced(lambda: CLOSED):
            for method in ("POST", "DELETE", "GET"):
                with pytest.raises(NotSent):
                    await http.send(Call(method, "/order"))
        assert server.requests == []
        with fenced(lambda: OPEN):
            await http.send(Call("POST", "/order"))
        assert len(server.requests) == 1


async def test_a_fence_that_closes_while_the_request_waits_for_its_turn_stops_it() -> None:
    async with venue(saying("200 OK")) as (server, http):
        http.ledger.limit("slow", Budget(1, 4, 0, 0))
        await http.send(Call("POST", "/first", draws=(Draw("slow"),)))
        closes = time.monotonic() + 0.1
        with fenced(lambda: closes), pytest.raises(NotSent):
            await http.send(Call("POST", "/late", draws=(Draw("slow"),)))
        assert len(server.requests) == 1


async def test_requests_side_by_side_have_fences_of_their_own() -> None:
    async with venue(saying("200 OK")) as (server, http):

        async def ask(path: str, until: float) -> None:
            with fenced(lambda: until):
                await asyncio.wait_for(http.send(Call("POST", path)), 5)

        answers = await asyncio.gather(ask("/a", OPEN), ask("/b", CLOSED), ask("/c", OPEN), return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), NotSent, type(None)]
        assert sorted(line.split()[1] for line, _ in server.requests) == ["/a", "/c"]
