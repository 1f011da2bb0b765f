"""Carries out what staff ask of the switches over everybody, the platform's and a strategy's, where it makes them stricter.

The web's role cannot set them: it adds a request, and an engine, which has the right, sees whether whoever asked is staff still. A page
that is taken over can write such a request in the name of any staff, so by a request nothing is released: it can stop everybody, which is
seen and undone, and resumes nobody. `manage.py kill` does that. With no engine there is nothing to stop.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from signalist.accounts.models import AccountState
from signalist.db.units import unit
from signalist.domain.errors import DomainError
from signalist.risk.actions import NotReleased, Where, switch
from signalist.risk.models import Layer, SwitchRequest

AT_ONCE = 20
NOT_STRICTER = "It is as strict already, and a request makes nothing less strict: `manage.py kill` does."


def carry_out(now: datetime) -> int:
    """Set what was asked for, in the order in which it was asked for; returns how many requests were looked at. One query where there is
    none."""
    if not SwitchRequest.objects.filter(done_at__isnull=True).exists():
        return 0
    with unit("switches.requests"):
        waiting = SwitchRequest.objects.filter(done_at__isnull=True).order_by("pk").select_related("by", "strategy")
        if connection.features.has_select_for_update_of:
            # Not passing over what another engine has in hand: the next waits for it, so that each is carried out in its turn, once.
            waiting = waiting.select_for_update(of=("self",))
        requests = list(waiting[:AT_ONCE])
        for request in requests:
            request.problem, request.done_at = _done(request, now)[:200], now
            request.save(update_fields=["problem", "done_at"])
    return len(requests)


def _done(request: SwitchRequest, now: datetime) -> str:
    """Set what is wanted, where that is stricter; returns why it was not."""
    if not (request.by.is_active and request.by.is_staff):
        return "Whoever asked is no staff any more."
    if request.layer == Layer.PLATFORM:
        where = Where.platform()
    elif request.strategy is not None:
        where = Where.of_strategy(request.strategy)
    else:
        return "No strategy was named."
    who = request.by.full_name or request.by.email
    try:
        stricter = switch(
            where,
            AccountState(request.state),
            request.reason,
            now,
            who=who,
            by=request.by,
            only_stricter=True,
            operator=True,
            # Under the lock of a row that another engine has only just made, too.
            may_release=False,
        )
    except NotReleased:
        return NOT_STRICTER
    except DomainError as error:
        return str(error)
    return "" if stricter else NOT_STRICTER
