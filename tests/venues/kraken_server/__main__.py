"""The server by itself: `python -m tests.venues.kraken_server`, for trying accounts at Kraken without Kraken.

It prints one JSON line, {"address", "api_key", "api_secret", "currency"}, and serves until Ctrl-C. Name the address in
`SIGNALIST_KRAKEN_URL`. The market moves every second, the same way each time.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import random
import sys
from decimal import Decimal

from signalist.clock import SystemClock
from signalist.domain.matching import Bar
from signalist.domain.money import nearest_to
from signalist.venues.kraken.protocol import TIERS
from signalist.venues.paper.matching_desk import Terms
from tests.venues.kraken_bench import BITCOIN
from tests.venues.kraken_server.server import Server, serving

KEY, SECRET, SYMBOL = "play-money", b"not a secret: this is a server for tests", "BTC/USD"
TICK = Decimal("0.1")


async def serve(seed: int) -> None:
    """Serve until cancelled."""
    terms = Terms(Decimal("0.004"), Decimal("0.0025"), partial_chance=Decimal(0))
    server = Server({"XXBTZUSD": BITCOIN}, terms, TIERS["intermediate"], SystemClock().now)
    server.house.open_account(KEY, SECRET, Decimal(10_000))
    draw, price = random.Random(seed), Decimal(40_000)
    async with serving(server, beat=1.0) as address:
        said = {"address": address, "api_key": KEY, "api_secret": base64.b64encode(SECRET).decode(), "currency": "USD"}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        while True:
            price = nearest_to(price * Decimal(str(1 + draw.gauss(0, 0.0003))), TICK)
            server.move(SYMBOL, Bar.tick(price), price)
            await asyncio.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kraken's protocol on this machine, with play money.")
    parser.add_argument("--seed", type=int, default=1)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().seed))
