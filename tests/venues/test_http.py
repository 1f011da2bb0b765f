"""The transport against a server on this machine that misbehaves in every way a venue does: what was lost, what was never sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from signalist.clock import SystemClock
from signalist.venues.errors import Busy, Next, NoAnswer, NotSent
from signalist.venues.transport import fence
from signalist.venues.transport.breaker import BreakerTerms
from signalist.venues.transport.budgets import Budget, Priority
from signalist.venues.transport.fence import House
from signalist.venues.transport.http import Answer, Call, Http
from signalist.venues.transport.ledger import Draw, RateLedger
from signalist.venues.transport.supplies import of_this_process

Handler = Callable[[str, bytes, asyncio.StreamWriter], Awaitable[None]]
VENUE = "venue"


class Server:
    """A raw HTTP server: it notes every request that arrives whole, and answers as `handle` wishes."""

    def __init__(self, handle: Handler) -> None:
        self.handle = handle
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0
        self.address = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().split("\r\n")
                lengths = [int(line.partition(":")[2]) for line in lines if line.lower().startswith("content-length")]
                body = await reader.readexactly(lengths[0]) if lengths else b""
                self.requests.append((lines[0], body))
                await self.handle(lines[0], body, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()  # the other side is gone, which is how each connection ends


def plain(status: str, body: bytes, *headers: str) -> bytes:
    """An answer as it goes over the wire."""
    more = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def saying(status: str, body: bytes = b'{"ok": true}', *headers: str) -> Handler:
    async def handle(line: str, asked: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(status, body, *headers))

    return handle


@asynccontextmanager
async def venue(handle: Handler, **named: object) -> AsyncIterator[tuple[Server, Http]]:
    """A server and the way to it."""
    server = Server(handle)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    server.address = f"http://{host}:{port}"
    ledger = RateLedger()
    ledger.limit(VENUE, Budget(1000, 1000))
    http = Http(server.address, ledger, **named)  # type: ignore[arg-type]
    try:
        yield server, http
    finally:
        await http.close()
        listening.close()


def order(**more: object) -> Call:
    return Call("POST", "/order?b=2&a=1%2F", b"x=1", draws=[Draw(VENUE)], priority=Priority.ENTRY, **more)  # type: ignore[arg-type]


async def silent(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
    """No answer, and no end."""


async def hanging_up(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def half(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()


async def test_what_arrives_is_what_was_signed_byte_for_byte() -> None:
    async with venue(saying("200 OK")) as (server, http):
        answer = await http.send(order())
    assert server.requests == [("POST /order?b=2&a=1%2F HTTP/1.1", b"x=1")]
    assert isinstance(answer, Answer)
    assert (answer.status, answer.said) == (200, {"ok": True})


async def test_a_refusal_in_the_venues_own_words_is_an_answer() -> None:
    async with venue(saying("400 Bad Request", b'{"error": "EOrder:Insufficient funds"}')) as (_, http):
        answer = await http.send(order())
    assert (answer.status, answer.said["error"]) == (400, "EOrder:Insufficient funds")


@pytest.mark.parametrize(
    "handle",
    [
        silent,
        hanging_up,
        half,
        saying("500 Internal Server Error"),
        saying("502 Bad Gateway", b"<html>"),
        saying("503 Service Unavailable"),
        saying("200 OK", b""),
        saying("200 OK", b" \n"),
        saying("200 OK", b"<html>maintenance</html>"),
        saying("200 OK", b'{"result": '),
    ],
    ids="silence hanging-up half 500 502 503 empty blank html cut-off".split(),
)
async def test_whatever_is_no_clear_answer_leaves_the_order_in_doubt_and_is_not_sent_again(handle: Handler) -> None:
    async with venue(handle) as (server, http):
        with pytest.raises(NoAnswer) as error:
            await http.send(order(within=0.3))
    assert error.value.next is Next.UNKNOWN
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_a_connection_that_the_venue_closed_meanwhile_repeats_nothing(method: str) -> None:
    async def once(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if len(server.requests) == 1:
            writer.write(plain("200 OK", b"{}"))
        else:
            writer.close()

    async with venue(once) as (server, http):
        await http.send(Call(method, "/"))
        with pytest.raises(NoAnswer):
            await http.send(Call(method, "/"))
    assert len(server.requests) == 2


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with venue(silent) as (server, _):
        pass
    http = Http(server.address, RateLedger())
    with pytest.raises(NotSent) as error:
        await http.send(order())
    await http.close()
    assert error.value.next is Next.RETRY


async def test_past_its_deadline_no_byte_is_written() -> None:
    async with venue(saying("200 OK")) as (server, http):
        with pytest.raises(NotSent):
            await http.send(order(deadline=time.monotonic() - 0.001))
    assert server.requests == []


async def test_a_deadline_that_passes_while_all_connections_are_busy_is_kept() -> None:
    async def slow(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(plain("200 OK", b"{}"))

    async with venue(slow, size=1) as (server, http):
        first = asyncio.create_task(http.send(order()))
        await asyncio.sleep(0.05)
        with pytest.raises(NotSent, match="deadline"):
            await http.send(order(deadline=time.monotonic() + 0.1))
        await first
    assert len(server.requests) == 1


async def test_a_turn_that_does_not_come_in_time_is_not_taken() -> None:
    async with venue(saying("200 OK")) as (server, http):
        http.ledger.limit(VENUE, Budget(1, 0.01, entry_reserve=0, read_reserve=0))
        assert http.ledger.admit_now([Draw(VENUE)], Priority.PROTECTION)
        with pytest.raises(NotSent, match="rate limits"):
            await http.send(order(within=0.1))
        assert http.ledger.waiting() == 0
        http.ledger.close(VENUE, 60)
        async with asyncio.timeout(0.05):
            with pytest.raises(NotSent, match="no requests for") as error:
                await http.send(order())
        assert error.value.after == pytest.approx(60, abs=1), "nobody waits at a door that opens too late"
    assert server.requests == []


async def test_a_stop_finds_a_connection_though_entries_of_a_slow_venue_wait_for_one_and_what_waited_is_not_in_doubt() -> (
    None
):
    async def slow(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(plain("200 OK", b"{}"))

    async def given_up(http: Http, after: float) -> House:
        with fence.fenced(None) as house, pytest.raises(TimeoutError):
            async with asyncio.timeout(after):
                await http.send(order())
        return house

    async with venue(slow, size=5) as (server, http):
        entries = [asyncio.create_task(given_up(http, 0.25 if n < 4 else 0.15)) for n in range(12)]
        await asyncio.sleep(0.05)
        begun = time.monotonic()
        await http.send(replace(order(), priority=Priority.PROTECTION))
        assert time.monotonic() - begun < 0.5
        houses = await asyncio.gather(*entries)
    assert Counter(house.may_have_left for house in houses) == {True: 4, False: 8}
    assert len(server.requests) == 5
    assert House().may_have_left, "where the transport does not say, it may"


async def test_nonces_arrive_in_order_one_at_a_time_and_none_is_taken_while_the_ledger_keeps_its_request_waiting() -> (
    None
):
    arrived: list[tuple[int, int]] = []
    under_way = 0

    async def strict(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        arrived.append((json.loads(body)["nonce"], under_way))
        await asyncio.sleep(0.01)
        under_way -= 1
        writer.write(plain("200 OK", b"{}"))

    source = of_this_process("venue", SystemClock()).nonces("key")

    def signed(draws: list[Draw]) -> Call:
        sign = lambda nonce: (json.dumps({"nonce": nonce}).encode(), dict[str, str]())  # noqa: E731
        return replace(order(), draws=draws, nonces=source, sign=sign)

    async with venue(strict) as (_, http):
        http.ledger.limit("slow", Budget(1, 4, entry_reserve=0, read_reserve=0))
        assert http.ledger.admit_now([Draw("slow")], Priority.ENTRY)
        begun = time.monotonic()
        late = asyncio.create_task(http.send(signed([Draw("slow")])))
        await asyncio.sleep(0)
        await asyncio.gather(*(http.send(signed([])) for _ in range(5)))
        assert time.monotonic() - begun < 0.2, "what waits at the ledger does not hold the turn"
        await late
    nonces = [nonce for nonce, _ in arrived]
    assert (len(nonces), nonces) == (6, sorted(set(nonces)))
    assert {together for _, together in arrived} == {1}


@pytest.mark.parametrize("status", ["429 Too Many Requests", "418 I'm a teapot"])
async def test_told_to_wait_everybody_waits(status: str) -> None:
    async with venue(saying(status, b"{}", "Retry-After: 30")) as (server, http):
        with fence.fenced(None) as house, pytest.raises(Busy) as error:
            await http.send(order())
        assert house.status == int(status.split(maxsplit=1)[0])
        assert (error.value.next, error.value.after) == (Next.RETRY, 30.0)
        with pytest.raises(NotSent):
            await http.send(order(within=0.1))
    assert len(server.requests) == 1


async def test_one_that_asks_too_much_keeps_only_itself_back() -> None:
    async def choosy(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(plain("429 Too Many" if b"poor" in body else "200 OK", b"{}", "Retry-After: 30"))

    async with venue(choosy) as (_, http):
        for who in ("poor", "rich"):
            http.ledger.limit(who, Budget(10, 10))
        poor, rich = (
            Call("POST", "/", who.encode(), draws=[Draw(VENUE), Draw(who)], who=who, within=0.2)
            for who in ("poor", "rich")
        )
        with pytest.raises(Busy):
            await http.send(poor)
        with pytest.raises(NotSent):
            await http.send(poor)
        await http.send(rich)


async def test_a_venue_that_is_silent_is_left_alone_for_a_while_and_then_tried_by_one() -> None:
    answers = [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"] * 3

    async def failing(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop() if answers else plain("200 OK", b"{}"))

    async with venue(failing, together=BreakerTerms(failures=3, pause=0.3)) as (server, http):
        for _ in range(3):
            with pytest.raises(NoAnswer):
                await http.send(order())
        with pytest.raises(NotSent, match="next try") as error:
            await http.send(order())
        assert error.value.after is not None
        assert len(server.requests) == 3
        await asyncio.sleep(0.35)
        found = await asyncio.gather(*(http.send(order()) for _ in range(5)), return_exceptions=True)
        assert sorted(type(one).__name__ for one in found) == ["Answer", *["NotSent"] * 4]
        await http.send(order())
    assert len(server.requests) == 5


async def test_a_credential_that_gets_no_answers_does_not_close_the_way_for_others() -> None:
    async def choosy(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(plain("500 No" if b"poor" in body else "200 OK", b"{}"))

    async with venue(choosy, breaker=BreakerTerms(failures=3, pause=60)) as (_, http):
        for _ in range(3):
            with pytest.raises(NoAnswer):
                await http.send(Call("POST", "/", b"poor", who="poor"))
            await http.send(Call("POST", "/", b"rich", who="rich"))
        with pytest.raises(NotSent):
            await http.send(Call("POST", "/", b"poor", who="poor"))
        await http.send(Call("POST", "/", b"rich", who="rich"))


async def test_connections_are_warm_before_they_are_needed_and_used_again() -> None:
    async with venue(saying("200 OK")) as (server, http):
        assert await http.warm("/time", 5) == 5
        opened = server.connections
        await asyncio.gather(*(http.send(order()) for _ in range(5)))
        assert server.connections == opened == 5


async def test_requests_at_once_are_bounded() -> None:
    most, now = [0], [0]

    async def slow(line: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        await asyncio.sleep(0.01)
        now[0] -= 1
        writer.write(plain("200 OK", json.dumps({}).encode()))

    async with venue(slow, size=4) as (server, http):
        await asyncio.gather(*(http.send(order()) for _ in range(20)))
    assert (most[0], len(server.requests)) == (4, 20)
