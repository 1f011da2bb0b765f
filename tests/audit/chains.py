"""A short chain to break, and the hands that break it: plain SQL, as somebody with the database's password would."""

from __future__ import annotations

from typing import Any

from django.db import connection

from signalist.audit import triggers
from signalist.audit.linking import Linker
from signalist.audit.models import Link
from signalist.audit.writing import record
from signalist.clock import utc_now
from tenants.doors import across_tenants, acting_for
from tests.cast import Cast


def ten_entries(cast: Cast) -> list[int]:
    """Ten entries of Acme, two of Globex and one of nobody, all linked; the ids of Acme's."""
    with acting_for(cast.acme.pk):
        for n in range(10):
            record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk, target=f"order {n}")
    with acting_for(cast.globex.pk):
        record("order.given", tenant_id=cast.globex.pk, user_id=cast.gus.pk)
        record("order.cancelled", tenant_id=cast.globex.pk, user_id=cast.gus.pk)
    record("login.failed", tenant_id=None, user_id=None, result="failed")
    with across_tenants("tests"):
        assert Linker().link(utc_now()) == 13
        return list(Link.objects.filter(tenant_id=cast.acme.pk).order_by("number").values_list("entry_id", flat=True))


def by_hand(statement: str, *parameters: Any) -> None:
    """Do it past the triggers."""
    triggers.disarm()
    with across_tenants("tests"), connection.cursor() as cursor:
        cursor.execute(statement, parameters)
    triggers.arm()
