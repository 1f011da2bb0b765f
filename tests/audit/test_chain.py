"""The chain: linked in order, whoever writes meanwhile; broken in seven ways, each is found and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from signalist.audit.chain import hash_of
from signalist.audit.linking import Linker
from signalist.audit.models import Entry, Head, Link
from signalist.audit.verifying import Anchor, Finding, chains, verify
from signalist.audit.writing import erase, record
from signalist.clock import utc_now
from tenants.doors import across_tenants, acting_for
from tests.audit.chains import by_hand, ten_entries
from tests.cast import Cast


def _verified(tenant_id: int | None, *anchors: Anchor) -> list[tuple[str, int]]:
    with across_tenants("tests"):
        return [(finding.kind, finding.number) for finding in verify(tenant_id, anchors).findings]


def test_each_tenant_has_a_chain_of_its_own_that_is_whole(cast: Cast) -> None:
    ten_entries(cast)
    with across_tenants("tests"):
        assert chains() == [None, cast.acme.pk, cast.globex.pk]
        reports = [verify(chain) for chain in chains()]
        assert [(report.number, report.waiting, report.findings) for report in reports] == [
            (1, 0, []),
            (10, 0, []),
            (2, 0, []),
        ]
        numbers = Link.objects.filter(tenant_id=cast.acme.pk).order_by("entry_id").values_list("number", flat=True)
        assert list(numbers) == list(range(1, 11))
    # What comes later is chained to it; a person who is erased breaks nothing.
    with acting_for(cast.acme.pk):
        record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk)
    erase(cast.theo.pk)
    with across_tenants("tests"):
        assert verify(cast.acme.pk).waiting == 1
        assert Linker().link(utc_now()) == 1
        report = verify(cast.acme.pk)
        assert (report.number, report.waiting, report.findings) == (11, 0, [])


def test_linking_takes_a_constant_number_of_statements_and_one_where_nothing_waits(cast: Cast) -> None:
    linker = Linker()
    counts = []
    for entries in (2, 40):
        with acting_for(cast.acme.pk):
            for _ in range(entries):
                record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk)
        if not counts:
            with across_tenants("tests"):
                linker.link(utc_now())  # a new chain's head is looked for once
            with acting_for(cast.acme.pk):
                record("order.given", tenant_id=cast.acme.pk, user_id=cast.theo.pk)
        with (
            across_tenants("tests"),
            CaptureQueriesContext(
                connection,
            ) as queries,
        ):
            assert linker.link(utc_now()) == (1 if not counts else 40)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    with across_tenants("tests"), CaptureQueriesContext(connection) as queries:
        assert linker.link(utc_now()) == 0
    assert len(queries) == 1


def _changed(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    by_hand("UPDATE audit_entry SET result = 'refused' WHERE id = %s", ids[3])
    return [("changed", 4)]


def _removed(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    by_hand("DELETE FROM audit_entry WHERE id = %s", ids[4])
    return [("removed", 5)]


def _removed_with_its_link(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    by_hand("DELETE FROM audit_entry WHERE id = %s", ids[4])
    by_hand("DELETE FROM audit_link WHERE entry_id = %s", ids[4])
    return [("removed", 5)]


def _reordered(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    for before, after in ((ids[1], -1), (ids[6], ids[1]), (-1, ids[6])):
        by_hand("UPDATE audit_link SET entry_id = %s WHERE entry_id = %s", after, before)
    return [("reordered", 2), ("reordered", 7)]


def _renumbered(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    for before, after in ((2, -1), (7, 2), (-1, 7)):
        by_hand("UPDATE audit_link SET number = %s WHERE number = %s AND tenant_id = %s", after, before, cast.acme.pk)
    return [("reordered", 2), ("reordered", 7)]


def _cut_off(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    by_hand("DELETE FROM audit_entry WHERE id >= %s AND tenant_id = %s", ids[7], cast.acme.pk)
    by_hand("DELETE FROM audit_link WHERE number >= 8 AND tenant_id = %s", cast.acme.pk)
    return [("cut_off", 8)]


def _replaced(cast: Cast, ids: list[int]) -> list[tuple[str, int]]:
    """Changed, and its own link made anew to fit; but not all that come after."""
    by_hand("UPDATE audit_entry SET target = 'order 99' WHERE id = %s", ids[5])
    with across_tenants("tests"):
        entry, link = Entry.objects.get(pk=ids[5]), Link.objects.get(entry_id=ids[5])
        forged = hash_of(entry, link.number, link.previous)
    by_hand("UPDATE audit_link SET hash = %s WHERE entry_id = %s", forged, ids[5])
    return [("replaced", 6)]


BREAKS = [_changed, _removed, _removed_with_its_link, _reordered, _renumbered, _cut_off, _replaced]


@pytest.mark.parametrize("breaks", BREAKS)
def test_a_chain_that_was_broken_is_found_and_the_row_is_named(
    cast: Cast, breaks: Callable[[Cast, list[int]], list[tuple[str, int]]]
) -> None:
    ids = ten_entries(cast)
    expected = breaks(cast, ids)
    assert _verified(cast.acme.pk) == expected
    assert _verified(cast.globex.pk) == _verified(None) == []


def test_the_row_is_named_in_words(cast: Cast) -> None:
    ids = ten_entries(cast)
    _removed(cast, ids)
    with across_tenants("tests"):
        (finding,) = verify(cast.acme.pk).findings
    assert finding == Finding("removed", 5, ids[4], f"entry {ids[4]}, number 5, is gone")


def test_a_chain_that_was_forged_whole_is_found_by_what_was_kept_of_it(cast: Cast) -> None:
    ids = ten_entries(cast)
    with across_tenants("tests"):
        kept = verify(cast.acme.pk)
    anchor = Anchor(kept.number, kept.hash)
    assert _verified(cast.acme.pk, anchor) == []
    # All of it anew, with the head: by itself it is whole.
    _cut_off(cast, ids)
    with across_tenants("tests"):
        seventh = Link.objects.get(tenant_id=cast.acme.pk, number=7)
    by_hand("UPDATE audit_head SET number = 7, hash = %s WHERE tenant_id = %s", seventh.hash, cast.acme.pk)
    assert _verified(cast.acme.pk) == []
    assert _verified(cast.acme.pk, anchor) == [("cut_off", 8)]
    assert _verified(cast.acme.pk, Anchor(7, "another")) == [("replaced", 7)]


def test_a_chain_that_cannot_go_on_keeps_no_other_waiting(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    ten_entries(cast)
    monkeypatch.setattr("signalist.audit.linking.AT_ONCE", 2)
    by_hand("UPDATE audit_head SET number = 3 WHERE tenant_id = %s", cast.acme.pk)
    for tenant, user in ((cast.acme, cast.theo),) * 3 + ((cast.globex, cast.gus),):
        record("order.given", tenant_id=tenant.pk, user_id=user.pk)
    linker = Linker()
    known = linker.broken
    with across_tenants("tests"):
        assert [linker.link(utc_now()) for _ in range(2)] == [0, 1], "more of it than are taken at once"
        assert linker.broken != known, "the engine raises its alarm by the difference"
        assert linker.broken == [cast.acme.pk]
        assert Head.objects.get(tenant_id=cast.globex.pk).number == 3
    assert _verified(cast.acme.pk) == [("changed", 10)]
