"""What a browser calls itself, in words that its owner recognises."""

from __future__ import annotations

_PROGRAMS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device(agent: str) -> str:
    """Such as "Chrome on Windows"; what comes first in the lists wins, because browsers also name those that they resemble."""
    program = next((words for sign, words in _PROGRAMS if sign in agent), "")
    system = next((words for sign, words in _SYSTEMS if sign in agent), "")
    if program and system:
        return f"{program} on {system}"
    return program or system or (agent.partition("/")[0][:40] if agent else "") or "Unknown device"
