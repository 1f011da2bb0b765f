"""The regions of pages that are pushed: what each shows, which events change it, and how it is rendered.

A region is rendered once for all members of a tenant, so it holds no forms, no buttons and nothing about one person; its template,
`regions/<name>.html`, is the one that pages include.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string

from signalist.logs import logger
from tenants.doors import viewing

log = logger(__name__)

Context = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Region:
    """`context(tenant_id)` gives what the template shows; `context()` where the region is the same for everybody (`common`).

    It is rendered anew when an event of one of `kinds` happens, when prices move (`prices`), and every so many seconds (`every`)
    for what changes because time passes. `quotes`: it is nothing but newest prices, which most pages are sent one by one (`quotes.py`).
    """

    name: str
    context: Context
    kinds: frozenset[str] = frozenset()
    prices: bool = False
    every: float | None = None
    common: bool = False
    quotes: bool = False


_known: dict[str, Region] = {}


def register(region: Region) -> Region:
    """Make a region known to sockets. Raises ValueError for a name that is taken."""
    if region.name in _known:
        raise ValueError(f"There is a region {region.name!r} already.")
    _known[region.name] = region
    return region


def forget(name: str) -> None:
    """Take a region away again."""
    _known.pop(name, None)


def known(names: Iterable[str]) -> list[Region]:
    """The regions among `names`, each once; what nobody registered is left out."""
    return [_known[name] for name in dict.fromkeys(names) if name in _known]


def everything() -> list[Region]:
    """All regions that are registered."""
    return list(_known.values())


def render(tenant_id: int | None, regions: Sequence[Region]) -> dict[str, str]:
    """The HTML of `regions` by name, for one tenant (None: the common ones). One that fails is logged and left out."""
    try:
        if tenant_id is None:
            return _all(regions)
        with viewing(tenant_id):
            return _all(regions, tenant_id)
    except Exception as error:
        if len(regions) == 1:
            log.exception("live_region_failed", region=regions[0].name, error=type(error).__name__)
            return {}
    return {name: html for region in regions for name, html in render(tenant_id, [region]).items()}


def _all(regions: Sequence[Region], *tenant_id: int) -> dict[str, str]:
    """What several regions show alike is read once."""
    contexts = {function: function(*tenant_id) for function in dict.fromkeys(region.context for region in regions)}
    return {region.name: _html(region, contexts[region.context]) for region in regions}


def _html(region: Region, context: Mapping[str, Any]) -> str:
    return render_to_string(f"regions/{region.name}.html", {**context, "oob": True}).strip()
