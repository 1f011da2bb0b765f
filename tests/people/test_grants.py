"""Rights to a single account or strategy beside a member's role: given, used, refused to everybody else, taken back, ended."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from signalist.accounts.actions import open_paper_account
from signalist.accounts.grant_models import AccountGrant
from signalist.accounts.models import Account
from signalist.audit.models import Entry
from signalist.clock import utc_now
from signalist.domain.money import ZERO
from signalist.strategies.grant_models import StrategyGrant
from signalist.strategies.models import Strategy, StrategyVersion
from tenants.doors import OutsideTenant, across_tenants, acting_for, only_looking
from tenants.grants import kinds
from tenants.models import Membership, User
from tenants.permissions import PERMISSIONS, permits, within
from tenants.workspaces.roles import remove
from tenants.workspaces.sharing import NotShared, share
from tests.cast import Cast
from tests.pages.acme import plain
from tests.people.test_members import as_member

pytestmark = pytest.mark.django_db(transaction=True)


def accounts(cast: Cast, *names: str) -> list[Account]:
    with acting_for(cast.acme.pk):
        return [open_paper_account(cast.acme.pk, name, "USD", ZERO) for name in names]


def member(cast: Cast, user: User) -> Membership:
    with across_tenants("tests"):
        return Membership.objects.select_related("user").get(tenant=cast.acme, user=user)


def shared(by: Client, thing: Any, kind: str, user: User, right: str) -> Any:
    said = {"member": str(user.public_id), "right": right}
    return by.post(f"/workspace/share/{kind}/{thing.public_id}/", said, follow=True)


def halted(client: Client, layer: str, key: object) -> int:
    return client.post(f"/stop/{layer}/{key}/", {"state": "HALTED", "reason": "odd fills"}).status_code


def test_who_only_looks_trades_on_the_one_account_that_an_administrator_shares(cast: Cast) -> None:
    mine, other = accounts(cast, "Mine-to-trade", "Not-mine")
    olivia, vera = as_member(cast.olivia), as_member(cast.vera)
    assert vera.get("/orders/new/").status_code == halted(vera, "account", mine.public_id) == 403
    unsure = as_member(cast.olivia, proven=False)
    shared(unsure, mine, "account", cast.vera, "trade")
    assert halted(vera, "account", mine.public_id) == 403, "sharing wants a proof of who it is"
    page = shared(olivia, mine, "account", cast.vera, "trade").content.decode()
    assert "Mine-to-trade is shared with vera@example.com: trade on it." in plain(page) and "Take back" in page
    assert "Take back" in olivia.get(f"/books/{mine.public_id}/").content.decode()

    ticket = vera.get("/orders/new/").content.decode()
    assert "Mine-to-trade" in ticket and "Not-mine" not in ticket
    closing = vera.get("/close/").content.decode()
    assert "Mine-to-trade" in closing and "Not-mine" not in closing
    assert (halted(vera, "account", mine.public_id), halted(vera, "account", other.public_id)) == (302, 403)
    assert halted(vera, "tenant", cast.acme.public_id) == 403, "a switch over all accounts is no account"
    with acting_for(cast.acme.pk):
        assert dict(Account.objects.values_list("name", "state")) == {"Mine-to-trade": "HALTED", "Not-mine": "ACTIVE"}
        entry = Entry.objects.get(action="grant.given")
    assert entry.target == str(cast.vera.public_id)
    assert json.loads(entry.details) == {"account": str(mine.public_id), "right": "trade"}
    assert "Mine-to-trade" in vera.get("/workspace/members/").content.decode()

    for stranger, answer in ((as_member(cast.gus), 404), (vera, 403), (as_member(cast.theo), 403)):
        assert shared(stranger, other, "account", cast.vera, "trade").status_code == answer
        with acting_for(cast.acme.pk):
            row = AccountGrant.objects.get()
        assert stranger.post(f"/workspace/grants/account/{row.public_id}/end/").status_code == answer
    olivia.post(f"/workspace/grants/account/{row.public_id}/end/")
    assert vera.get("/orders/new/").status_code == halted(vera, "account", mine.public_id) == 403
    with acting_for(cast.acme.pk):
        assert Entry.objects.filter(action="grant.taken").count() == 1


def test_a_grant_is_one_members_in_one_workspace_and_ends_with_the_membership(cast: Cast) -> None:
    mine, other = accounts(cast, "Mine", "Other")
    by, vera, theo = (member(cast, user) for user in (cast.olivia, cast.vera, cast.theo))
    with acting_for(cast.acme.pk):
        share(by, mine, cast.vera.public_id, "trade")
        share(by, mine, cast.vera.public_id, "trade")
        assert AccountGrant.objects.count() == 1
        assert permits(vera, "orders.give", mine) and not permits(vera, "orders.give", other)
        assert not permits(vera, "orders.give") and not permits(vera, "credentials.change", mine)
        assert list(within(vera, "orders.give", Account.objects.all())) == [mine]
        vera.user.is_superuser = True
        assert not permits(vera, "orders.give", other), "a superuser is a member like others"
        for user, right in ((cast.gus, "trade"), (cast.olivia, "trade"), (cast.theo, "withdraw")):
            with pytest.raises(NotShared):
                share(by, mine, user.public_id, right)
        with pytest.raises(NotShared):
            share(theo, mine, cast.vera.public_id, "trade")
        Membership.objects.filter(pk=by.pk).update(is_active=False, is_owner=False)
        with pytest.raises(NotShared):
            share(by, other, cast.vera.public_id, "trade")  # who was taken out while they gave it
        Membership.objects.filter(pk=by.pk).update(is_active=True, is_owner=True)
    with only_looking():
        assert not permits(vera, "orders.give", mine), "staff that looks as her trades nowhere"
    with across_tenants("tests"):
        row = AccountGrant.objects.get()
        row.pk, row.tenant, row.user, row.content_object = None, cast.globex, cast.gus, mine
    with acting_for(cast.globex.pk), pytest.raises(OutsideTenant):
        row.save()

    remove(by, vera)
    with acting_for(cast.acme.pk):
        assert not AccountGrant.objects.exists()
        Membership.objects.filter(pk=vera.pk).update(is_active=True)
    assert as_member(cast.vera).get("/orders/new/").status_code == 403, "who comes back begins without"


def test_an_author_shares_the_source_of_one_strategy_to_be_read_or_written(cast: Cast) -> None:
    own = Strategy.objects.create(slug="olivias", name="Olivias", author=cast.olivia)
    Strategy.objects.create(slug="unshared", name="Unshared", author=cast.olivia)
    made = {"strategy": own, "number": 1, "content_hash": "x", "history": 1, "created_at": utc_now()}
    StrategyVersion.objects.create(source="the secret of Olivia", **made)
    olivia, vera, theo = as_member(cast.olivia), as_member(cast.vera), as_member(cast.theo)
    pages = [f"/authoring/olivias/{rest}" for rest in ("", "1/", "write/")]

    def answers(client: Client) -> list[int]:
        return [client.get(page).status_code for page in ("/authoring/", *pages)]

    assert answers(vera) == [403, 404, 404, 404]
    assert shared(theo, own, "strategy", cast.vera, "read").status_code == 404, "its author alone shares it"
    assert "Shared with single members" in olivia.get(pages[0]).content.decode()
    shared(olivia, own, "strategy", cast.vera, "read")
    assert answers(vera) == [200, 200, 200, 404]
    version = vera.get(pages[1]).content.decode()
    assert "the secret of Olivia" in version and "submit" not in version
    assert "Unshared" not in vera.get("/authoring/").content.decode()
    assert vera.get("/authoring/unshared/").status_code == 404
    shared(olivia, own, "strategy", cast.theo, "write")
    assert answers(theo) == [200, 200, 200, 200]
    assert theo.post("/authoring/olivias/1/submit/").status_code == 404, "handing in is the author's"
    assert answers(as_member(cast.gus)) == [200, 404, 404, 404]
    with across_tenants("tests"):
        StrategyGrant.objects.filter(user=cast.theo).update(tenant=cast.globex)
    assert answers(theo) == [200, 404, 404, 404], "what was shared in another workspace opens nothing in this one"

    with across_tenants("tests"):
        Membership.objects.filter(tenant=cast.acme, user=cast.olivia).update(is_owner=False)
    remove(member(cast, cast.theo), member(cast, cast.olivia))
    assert answers(vera) == [403, 404, 404, 404], "it ends when the author leaves"


def test_what_can_be_shared_is_what_the_table_says() -> None:
    shareable = {name for table in kinds().values() for right in table.rights for name in right.includes}
    assert shareable == {name for name, found in PERMISSIONS.items() if found.shared}
    assert set(kinds()) == {"account", "strategy"}
