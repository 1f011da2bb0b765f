"""What is typed beside an entry: a name in it can go, and nothing else can be changed without being found."""

from __future__ import annotations

import pytest
from django.test import Client

from signalist.audit.linking import Linker
from signalist.audit.models import Entry, Words
from signalist.audit.selectors import lines
from signalist.audit.verifying import verify
from signalist.audit.words import forget, mark_of
from signalist.audit.writing import record
from signalist.clock import utc_now
from signalist.privacy.sections import SECTIONS
from tenants.doors import across_tenants, acting_for
from tests.cast import PASSWORD, Cast

pytestmark = pytest.mark.django_db
TYPED = "Theo Miles shares a card with theo.miles@example.com, says Theodora"


def found(cast: Cast) -> list[str]:
    with across_tenants("tests"):
        return [finding.kind for finding in verify(cast.acme.pk).findings]


def test_a_name_goes_out_of_what_was_typed_and_the_chain_holds(cast: Cast) -> None:
    with acting_for(cast.acme.pk):
        record("member.removed", tenant_id=cast.acme.pk, user_id=cast.olivia.pk, words=TYPED)
        record("member.removed", tenant_id=cast.acme.pk, user_id=cast.olivia.pk, words="no name here")
        (first, second), row = Entry.objects.order_by("pk"), Words.objects.get(text=TYPED)
        assert "Theo" not in first.details and row.mark in first.details
        assert [line.facts for line in lines([first, second])] == [f"words: {TYPED}", "words: no name here"]
    (log,) = (section for section in SECTIONS if section.name == "audit")
    copied = [line["details"] for batch in log.read(cast.acme.pk, cast.olivia.pk) for line in batch]
    assert copied == [f'{{"words":"{TYPED}"}}', '{"words":"no name here"}'], (
        "the copy of their data holds what they typed"
    )
    with acting_for(cast.globex.pk):
        assert not Words.objects.exists(), "they are the workspace's, as the entry is"
    with across_tenants("tests"):
        Linker().link(utc_now())
        assert found(cast) == []
        assert forget(["theo.miles@example.com", "Theo Miles"], "a former member") == 1
        assert found(cast) == []
        row.refresh_from_db()
        assert row.text == "a former member shares a card with a former member, says Theodora"
        assert row.salt == "" and mark_of(TYPED, "00") != row.mark, "nobody can try out what it was"

        Words.objects.filter(text="no name here").update(text="another reason")
        assert found(cast) == ["changed"]
        Words.objects.filter(pk=row.pk).delete()
        assert sorted(found(cast)) == ["changed", "removed"]


def test_a_name_is_found_however_it_is_written_on_both_databases(cast: Cast) -> None:
    with across_tenants("tests"):
        for words in ("éva ÖSZ pays", "ÉVA ÖSZ does not", "Anna Ösz does"):
            record("member.removed", tenant_id=cast.acme.pk, user_id=None, words=words)
        assert forget(["Éva Ösz"], "a former member") == 2
        said = set(Words.objects.values_list("text", flat=True))
    assert said == {"a former member pays", "a former member does not", "Anna Ösz does"}


def test_what_staff_type_is_no_part_of_an_entry(client: Client, cast: Cast) -> None:
    cast.gus.is_staff = True
    cast.gus.save()
    client.force_login(cast.gus)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    client.post("/staff/powers/", {"reason": "Theo called"})
    client.post(f"/staff/people/{cast.theo.public_id}/state/", {"what": "suspend", "reason": "Theo did not pay"})
    with across_tenants("tests"):
        assert not Entry.objects.filter(details__contains="Theo").exists()
        assert sorted(Words.objects.values_list("text", flat=True)) == ["Theo called", "Theo did not pay"]
