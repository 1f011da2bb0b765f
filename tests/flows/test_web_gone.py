"""The web process dies while a signal is on its way: the engine neither knows nor minds. (Redis is no part of the installation.)"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import connection

from signalist.trading.models import Order
from tenants.doors import across_tenants
from tests.flows.commands import ROOT, of_the_test_run
from tests.flows.loopback_stage import Stage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.soak]


@pytest.fixture
def web() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The web process on the database of the test run, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "signalist.asgi:application"],
        cwd=ROOT,
        env=of_the_test_run(connection).environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process, port
    process.kill()
    process.wait()


def answers(port: int) -> bool:
    """Whether a page comes."""
    try:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        asked.request("GET", "/", headers={"Host": "localhost"})
        return asked.getresponse().status < 500
    except OSError:
        return False


def test_the_engine_trades_on_when_the_web_process_is_killed(
    stage: Stage, web: tuple[subprocess.Popen[bytes], int]
) -> None:
    process, port = web
    engine = stage.start()
    stage.settle()
    stage.wait(lambda: answers(port), "the web process answers", tend=False)
    stage.candle(40)
    with across_tenants("tests"):
        stage.wait(lambda: Order.objects.filter(leg="ENTRY").exists(), "a signal is on its way", tend=False)
    process.kill()
    process.wait()
    stage.settle()
    stage.check()
    stage.candle(-40)
    stage.settle()
    stage.check()
    assert not stage.ended(engine)
    assert stage.lost() == set()
