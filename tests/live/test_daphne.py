"""Real web processes, real sockets: what only they can show."""

from __future__ import annotations

import json
import signal
import time

import pytest
from django.test import Client

from signalist.live.sockets import SESSION_OVER
from tests.cast import Cast
from tests.live.processes import PATIENCE, Start, closed, is_gone, messages, raw, until
from tests.live.regions import say

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_happens_is_pushed_to_a_real_socket(start: Start, people: Cast, browsers: dict[str, Client]) -> None:
    web = start()
    with web.page(browsers["theo"], "test-words") as page, web.page(browsers["gus"], "test-words") as other:
        until(page, lambda message: 'id="test-words"' in message)
        until(other, lambda message: 'id="test-words"' in message)
        say(people.acme.pk, "one")
        assert "one" in until(page, lambda message: 'id="test-words"' in message, 2)
        say(people.globex.pk, "two")
        assert "one" not in until(other, lambda message: 'id="test-words"' in message, 2)


def test_logging_out_in_another_process_closes_the_socket_at_once(
    start: Start, people: Cast, browsers: dict[str, Client]
) -> None:
    here, there = start(), start()
    with here.page(browsers["theo"], "test-words") as page, here.page(browsers["vera"], "test-words") as other:
        until(page, lambda message: '"hello"' in message)
        until(other, lambda message: '"hello"' in message)
        time.sleep(0.5)  # newcomers are looked at once more
        there.log_out(browsers["theo"])
        assert closed(page, 3.0) == SESSION_OVER
        assert closed(other, 0.5) is None


def test_a_page_misses_nothing_when_its_web_process_is_killed_and_started_again(
    start: Start, people: Cast, browsers: dict[str, Client]
) -> None:
    first = start()
    with first.page(browsers["theo"], "test-words") as page:
        say(people.acme.pk, "one")
        until(page, lambda message: "one" in message)
        place = json.loads(until(page, lambda message: "cursor" in message))["cursor"]
        first.stop(signal.SIGKILL)
    say(people.acme.pk, "two")
    second = start()
    with second.page(browsers["theo"], "test-words", after=place) as page:
        until(page, lambda message: "one two" in message)
        say(people.acme.pk, "three")
        until(page, lambda message: "one two three" in message)


def test_a_process_that_is_stopped_with_open_sockets_stops_in_good_order(
    start: Start, people: Cast, browsers: dict[str, Client]
) -> None:
    web = start()
    with web.page(browsers["theo"], "test-words") as page:
        until(page, lambda message: '"hello"' in message)
        web.stop()
    assert "Traceback" not in web.log.read_text()
    assert "Task was destroyed" not in web.log.read_text()


def test_a_long_region_arrives_whole_however_slowly_it_is_read(
    start: Start, people: Cast, browsers: dict[str, Client]
) -> None:
    """More than a connection takes at once: the rest has to follow in order, and other messages behind it."""
    web = start(behind=60.0)
    size = 8_000_000
    expected = "".join(f"{n:07d} " for n in range(size // 8)).strip()
    slow = raw(web, browsers["theo"], "test-long")
    say(people.acme.pk, f"{size}")
    received, deadline = bytearray(), time.monotonic() + 3 * PATIENCE
    while len(received) < size and time.monotonic() < deadline:
        received += slow.recv(200_000)
        time.sleep(0.002)
    text = next(message for message in messages(received, slow) if len(message) > 1000)
    slow.close()
    assert text.partition(">")[2].partition("</p>")[0].strip() == expected


def test_one_who_reads_nothing_holds_nobody_up_and_is_closed(
    start: Start, people: Cast, browsers: dict[str, Client]
) -> None:
    web = start(silent=60.0)
    stopped = raw(web, browsers["vera"], "test-long")
    with web.page(browsers["theo"], "test-long", "test-words") as page:
        until(page, lambda message: 'id="test-words"' in message)
        deadline, rounds = time.monotonic() + 2 * PATIENCE, 0
        while time.monotonic() < deadline and not is_gone(stopped):
            rounds += 1
            say(people.acme.pk, f"{6_000_000 + 8 * rounds}")
            until(page, lambda message: 'id="test-words"' in message and f"{6_000_000 + 8 * rounds}" in message)  # noqa: B023
        assert is_gone(stopped)
    stopped.close()
