"""The sockets of the site and what stands before them: the page's origin, the session, the user."""

from __future__ import annotations

from typing import Any, cast

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator, WebsocketDenier
from django.urls import path, re_path

from signalist.live.consumer import live, with_wire

sockets = with_wire(
    AllowedHostsOriginValidator(
        AuthMiddlewareStack(URLRouter([path("live/", cast("Any", live)), re_path("", WebsocketDenier.as_asgi())]))
    )
)
