"""Followers come in another order with every signal: nobody is always the last (CON-51)."""

from __future__ import annotations

from collections import Counter

import pytest

from signalist.execution.fan_out import fan_out
from signalist.strategies.models import Signal
from signalist.trading.models import Execution
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")
FOLLOWERS, SIGNALS = 5, 40

pytestmark = pytest.mark.django_db


def order_of(signal: Signal) -> tuple[int, ...]:
    """Who is decided when: the followers in the order of their executions."""
    return tuple(Execution.objects.filter(signal=signal).order_by("pk").values_list("subscription_id", flat=True))


def sent(scene: Scene, leg: str, begun: int = 0) -> tuple[str, ...]:
    """Whose orders of this leg were placed, in the order in which they left."""
    return tuple(call.ref for call in scene.venue.calls[begun:] if (call.method, call.leg) == ("place", leg))


def test_over_many_signals_everybody_is_last_now_and_then_and_what_is_sent_follows_what_is_decided(
    scene: Scene,
) -> None:
    scene.minute()
    followers = {one.pk: one.account.venue_ref for one in (scene.subscriber(f"F{n}") for n in range(FOLLOWERS))}
    (first,) = scene.signal(BUY)
    assert sorted(order_of(first)) == list(followers)
    assert Signal.objects.get(pk=first.pk).subscribers == FOLLOWERS
    assert sent(scene, "ENTRY") == tuple(followers[key] for key in order_of(first)), "sent as they are decided"
    scene.minute()
    begun = len(scene.venue.calls)
    left, again = scene.signal(EXIT_LONG, BUY)
    assert (sent(scene, "EXIT", begun), sent(scene, "ENTRY", begun)) == (
        tuple(followers[key] for key in order_of(left)),
        tuple(followers[key] for key in order_of(again)),
    )
    placed = [call.leg for call in scene.venue.calls[begun:] if call.method == "place"]
    assert placed[:FOLLOWERS] == ["EXIT"] * FOLLOWERS, "exits before entries"
    entries = []
    for _ in range(SIGNALS):
        scene.minute()
        entries += scene.signal(BUY, wait=True)
    scene.stage(fan_out)
    orders = [order_of(signal) for signal in entries]
    first_of, last_of = Counter(order[0] for order in orders), Counter(order[-1] for order in orders)
    assert set(first_of) == set(last_of) == set(followers), "each is first at some time, and last at another"
    assert max(last_of.values()) < SIGNALS / 2
    assert len(set(orders)) > FOLLOWERS * 3, "it is not one row that begins elsewhere"
