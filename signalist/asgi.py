"""The web process's entry point: `daphne signalist.asgi:application`. Pages over HTTP, live updates over a socket."""

from __future__ import annotations

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from signalist.environment import Misconfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
if not settings.configured:
    os.environ.setdefault("SIGNALIST_PROCESS", "web")

try:
    pages = get_asgi_application()
except Misconfigured as problem:
    raise SystemExit(str(problem)) from None

from channels.routing import ProtocolTypeRouter
from django.db import DatabaseError

from signalist.audit.triggers import Disarmed, assert_armed
from signalist.dashboard import fragments as dashboard
from signalist.live.regions import Region, register
from signalist.live.routing import sockets
from signalist.markets import fragments as markets
from signalist.trading import fragments as trading
from tenants.rls import OverPrivileged, become, refuse_privileged
from tenants.roles import WEB

if settings.WEB:
    # Before the first request: what pages and pushes may see is decided by the database, too.
    try:
        become(WEB)
        refuse_privileged()
        assert_armed()
    except (OverPrivileged, Disarmed) as problem:
        raise SystemExit(str(problem)) from None
    except DatabaseError as problem:
        raise SystemExit(f"The database does not answer: {str(problem).strip().splitlines()[0]}") from None

# Which regions of pages are pushed, and what changes them. Only here may the sockets and the pages' own functions meet.
ORDERS = frozenset({"order_answered", "order_dropped", "order_filled", "order_turned_up", "order_never_arrived"})
HOLDINGS = ORDERS | {"position_opened", "trade_closed", "emergency_exit", "account_halted", "instruction_given"}
ALARMS = frozenset(
    {"account_halted", "books_differ", "emergency_exit", "exit_overtakes", "protection_blind", "signals_missed"}
)
STOPS = (
    ALARMS
    | {"kill_switched"}
    | {f"difference_{became}" for became in ("found", "gone", "resolved", "kept", "answered")}
)
FOLLOWING = frozenset(
    {"subscribed", "subscription_paused", "subscription_resumed", "subscription_changed", "subscription_cancelled"}
)

for region in (
    Region("key-figures", dashboard.standing, HOLDINGS | FOLLOWING | {"day_measured"}, prices=True, every=60),
    Region("today", dashboard.standing, HOLDINGS | FOLLOWING | {"day_measured"}, prices=True, every=60),
    Region("engine-status", dashboard.engine_status, HOLDINGS, every=5),
    Region("kill-state", dashboard.kill_state, STOPS, every=15),
    Region("position-rows", dashboard.positions, HOLDINGS | FOLLOWING, prices=True, every=15),
    Region("position-totals", dashboard.positions, HOLDINGS | FOLLOWING, prices=True, every=15),
    Region("order-rows", trading.orders, HOLDINGS | {"execution_decided"}),
    Region("decision-feed", trading.decisions, frozenset({"execution_decided"})),
    Region("last-prices", dashboard.prices, prices=True, every=15, common=True, quotes=True),
    Region("feed-rows", markets.feed_rows, every=5, common=True),
):
    register(region)

application = ProtocolTypeRouter({"http": pages, "websocket": sockets})
