"""Words that pages say in another way than the rows do."""

from __future__ import annotations

_LAYERS = {"tenant": "workspace"}


def layer(name: str) -> str:
    """A layer of limits or of the kill switch: what the rows call a tenant is a workspace to its members."""
    return _LAYERS.get(name.lower(), name.lower())
