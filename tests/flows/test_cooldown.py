"""A pause between entries (EXE-37): measured from signal to signal, per subscription, and the longest of the layers counts."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.domain.rules import Limits, strictest
from signalist.execution.decide import decide
from signalist.execution.fan_out import fan_out
from tests.flows.scene import EXIT_LONG, LONG, Scene, entry

BUY = entry(LONG, "39600", "40800")


def test_the_longest_pause_is_the_strictest() -> None:
    layers = [
        ("platform", Limits(cooldown=60, daily_entries=9)),
        ("subscription", Limits(cooldown=300, daily_entries=12)),
    ]
    bounds = strictest(layers)
    assert (bounds["cooldown"].value, bounds["cooldown"].layer, bounds["daily_entries"].value) == (
        300,
        "subscription",
        9,
    )


def test_an_entry_is_denied_within_the_pause_and_taken_after_it(scene: Scene) -> None:
    theo, vera = scene.subscriber("Theo", limits=Limits(cooldown=300)), scene.subscriber("Vera")
    scene.minute()
    scene.signal(BUY)
    scene.minute()
    scene.signal(EXIT_LONG)
    scene.minute()
    scene.signal(BUY)
    denied = scene.execution(theo)
    assert (denied.status, denied.rule) == ("DENIED", "cooldown")
    assert denied.numbers == {"current": "120", "limit": "300", "layer": "subscription"}
    assert scene.position(vera).is_open, "who wants no pause has none"
    for _ in range(3):
        scene.minute()
    # The first was decided a while after its candle, the next one at once: from candle to candle it is the whole pause.
    type(denied).objects.filter(subscription=theo, status="TAKEN").update(decided_at=scene.clock.now())
    scene.signal(BUY)
    assert scene.execution(theo).status in ("TAKEN", "RESIZED")


def test_a_pause_costs_one_query_a_batch(scene: Scene) -> None:
    counts = []
    for cooldown, followers in ((None, 2), (60, 1), (60, 4)):
        for n in range(followers):
            scene.subscriber(f"S{cooldown}-{followers}-{n}", limits=Limits(cooldown=cooldown))
        scene.minute()
        scene.signal(BUY, wait=True)
        scene.stage(fan_out)
        with CaptureQueriesContext(connection) as captured:
            scene.stage(decide)
        counts.append(len(captured))
        scene.settle()
    assert counts[1] == counts[2] == counts[0] + 1
