"""What the shell of every page needs: the theme, the time zone, and where the reader stands in the site."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

THEMES = ("light", "dark")


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor. A theme is written into the page by the server, so that the first paint is right without a script."""
    user: Any = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    preferences = user.preferences if signed_in else {}
    theme = preferences.get("theme") or request.COOKIES.get("theme", "")
    return {
        "theme": theme if theme in THEMES else "",
        "time_zone": user.time_zone if signed_in else "UTC",
        "tenant": getattr(request, "tenant", None),
        "membership": getattr(request, "membership", None),
        "memberships": getattr(request, "memberships", []),
        "viewed_as": getattr(request, "viewed_as", ""),
    }
