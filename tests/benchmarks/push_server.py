"""The web process of `push_to_sockets`: Daphne with the whole application, a tenant with a member for each socket, three ways to push.

Prints one line of JSON when it listens; pushes once for each line on standard input, which names the way.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

GROUP = "benchmark"


def main(count: int, folder: Path, size: int) -> None:
    """Serve `count` members; `size` is the length of what is pushed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    os.environ["SIGNALIST_PROCESS"] = "web"
    from django.conf import settings

    (folder / "regions").mkdir()
    (folder / "regions" / f"{GROUP}.html").write_text('<p id="benchmark">{{ text }}</p>')
    settings.TEMPLATES[0]["DIRS"].append(folder)
    server_module = import_module("daphne.server")
    tenant_id, sessions = _people(count)
    server = server_module.Server(
        _application(size), endpoints=["tcp:port=0:interface=127.0.0.1"], signal_handlers=False, verbosity=0
    )
    loop = server_module.twisted_loop
    threading.Thread(target=_obey, args=(server, loop, tenant_id, sessions, size), daemon=True).start()
    server.run()


def _people(count: int) -> tuple[int, list[str]]:
    """A tenant with `count` members; returns its id and a session of each."""
    import django

    django.setup()
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command

    from tenants.doors import across_tenants
    from tenants.models import Membership, Role, Tenant, User

    call_command("migrate", verbosity=0, stdout=sys.stderr)
    with across_tenants("benchmark", one_transaction=True):
        tenant = Tenant.objects.create(name="Benchmark")
        people = User.objects.bulk_create(User(email=f"{n}@example.com", password="!") for n in range(count))
        Membership.objects.bulk_create(Membership(tenant=tenant, user=user, role=Role.READONLY) for user in people)
    keys = []
    for user in people:
        session = SessionStore()
        session[SESSION_KEY], session[BACKEND_SESSION_KEY] = str(user.pk), settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        keys.append(str(session.session_key))
    return tenant.pk, keys


def _application(size: int) -> Any:
    """The application, and beside it the plain consumer that one writes first, behind the same checks."""
    application = import_module("signalist.asgi").application
    from channels.auth import AuthMiddlewareStack
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.security.websocket import AllowedHostsOriginValidator
    from django.conf import settings

    from signalist.events.models import Event
    from signalist.live.regions import Region, register

    # The product needs none: this is what it is compared with.
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    class Plain(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            await self.channel_layer.group_add(GROUP, self.channel_name)
            await self.accept()

        async def push(self, message: dict[str, Any]) -> None:
            await self.send(text_data=message["text"])

    def newest(tenant_id: int) -> dict[str, str]:
        event = Event.objects.filter(kind=GROUP).order_by("id").last()
        return {"text": event.payload["text"] if event else _stamped(size)}

    async def routed(scope: dict[str, Any], receive: Any, send: Any) -> None:
        is_plain = scope["type"] == "websocket" and scope["path"] == "/plain/"
        await (plain if is_plain else application)(scope, receive, send)

    register(Region(GROUP, newest, kinds=frozenset({GROUP})))
    plain = AllowedHostsOriginValidator(AuthMiddlewareStack(Plain.as_asgi()))
    return routed


def _stamped(size: int) -> str:
    """A text of the agreed length that says when it was written."""
    return f"stamp={time.monotonic_ns():020d} ".ljust(size, "x")


async def _push(way: str, tenant_id: int, size: int) -> None:
    from channels.layers import get_channel_layer

    from signalist.live.hub import hub
    from signalist.live.sockets import Fragment, tenant_group
    from signalist.live.wire import Frame

    if way == "direct":
        text = _stamped(size)
        await hub().sockets.push(tenant_group(tenant_id), Fragment(GROUP, time.monotonic_ns(), text, Frame(text)))
    elif way == "plain":
        await get_channel_layer().group_send(GROUP, {"type": "push", "text": _stamped(size)})
    else:
        for each in hub().sockets.everyone():
            each.seen.clear()  # looks are numbered from one, and the direct pushes stand outside that count
        await asyncio.to_thread(_happen, tenant_id, size)


def _happen(tenant_id: int, size: int) -> None:
    """An event, as an action writes it."""
    from signalist.clock import utc_now
    from signalist.events.outbox import Fact, emit
    from tenants.doors import acting_for

    with acting_for(tenant_id):
        emit([Fact(GROUP, tenant_id, utc_now(), {"text": _stamped(size)})])


def _obey(server: Any, loop: asyncio.AbstractEventLoop, tenant_id: int, sessions: list[str], size: int) -> None:
    while not server.listening_addresses:
        time.sleep(0.01)
    sys.stdout.write(json.dumps({"port": server.listening_addresses[0][1], "sessions": sessions}) + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        asyncio.run_coroutine_threadsafe(_push(line.strip(), tenant_id, size), loop).result()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
