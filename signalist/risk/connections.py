"""Accounts and the keys that they trade with: connecting, replacing, revoking, and what happens when a venue refuses a key.

Where a key is gone or refused, the account takes no entries from then on (REDUCING), loudly; stops and targets that rest at the venue
stay there, and exits and protection go on as soon as there is a key again. Resuming is by hand.

Where a venue's keys do not name their account, a key belongs to an account if the venue knows an order of that account under it; an
account that has never had an order there takes any.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction
from django.db.models import Q

from signalist.accounts.connectors import FORBIDDEN, NEEDED, play_money_venues
from signalist.accounts.models import Account, AccountState
from signalist.accounts.probe import Probed
from signalist.clock import utc_now
from signalist.domain.errors import DomainError
from signalist.risk.actions import Where, switch
from signalist.trading.models import Order
from tenants import credentials
from tenants.credentials import Said
from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, User
from tenants.roles import REVOCATION

HOUSE = "Signalist"
ACCOUNTS, ORDERS = 5, 2
"""How many accounts a key is compared with, and how many of each one's orders are looked for: a probe takes seconds."""


class Elsewhere(DomainError):
    """The account at the venue is connected already, here or in another workspace."""


@transaction.atomic
def connect(
    tenant_id: int, venue: str, label: str, secrets: Mapping[str, str], probed: Probed, by: User
) -> tuple[Credential, Account]:
    """Keep a key that was probed, and the account that it opens. Raises NameTaken, Elsewhere."""
    credential = credentials.store(tenant_id, venue, label, secrets, said_by(probed), by)
    opened = Q(venue_ref=probed.ref) | Q(pk__in=probed.knows)
    account = Account.objects.filter(opened, venue=venue).select_related("credential").order_by("pk").first()
    if account is None:
        return credential, _opened(tenant_id, venue, label, probed, credential)
    if account.credential is not None and account.credential.revoked_at is None:
        raise Elsewhere(
            f"This account is connected already, with the key {account.credential.label!r}; replace that one."
        )
    _same_money(account, probed)
    account.credential = credential
    account.save(update_fields=["credential"])
    return credential, account


def _opened(tenant_id: int, venue: str, label: str, probed: Probed, credential: Credential) -> Account:
    try:
        with transaction.atomic():
            return Account.objects.create(
                tenant_id=tenant_id,
                name=label,
                venue=venue,
                venue_ref=probed.ref,
                currency=probed.balance.currency,
                credential=credential,
                is_play_money=venue in play_money_venues(),
            )
    except IntegrityError:
        raise Elsewhere("This account is connected in another workspace. Disconnect it there first.") from None


@transaction.atomic
def replace(credential: Credential, secrets: Mapping[str, str], probed: Probed, by: User) -> None:
    """Put another key in place of this one. Raises Elsewhere where it belongs to another account at the venue."""
    for account in accounts_of(credential):
        if account.venue_ref != probed.ref and not _may_open(account, probed):
            raise Elsewhere(f"This key is for another account than {account.name}; connect it under a name of its own.")
        _same_money(account, probed)
    credentials.replace(credential, secrets, said_by(probed), by)


def orders_of(venue: str) -> dict[int, list[str]]:
    """By what the workspace's accounts at a venue are told from others there: our ids of the newest orders that it had, by account."""
    had = Order.objects.exclude(venue_order_id="").exclude(client_order_id="")
    accounts = Account.objects.filter(venue=venue).order_by("-pk")[:ACCOUNTS]
    newest = {account.pk: had.filter(account=account).order_by("-pk")[:ORDERS] for account in accounts}
    return {key: [order.client_order_id for order in orders] for key, orders in newest.items() if orders}


def _may_open(account: Account, probed: Probed) -> bool:
    """Whether a key that is not the one the account was connected with may be the same account's."""
    if probed.names_account:
        return False
    return account.pk in probed.knows or not orders_of(account.venue).get(account.pk)


def _same_money(account: Account, probed: Probed) -> None:
    if account.is_paper != (account.venue in play_money_venues()):
        was = "play money" if account.is_paper else "real money"
        raise Elsewhere(
            f"{account.name} was connected where {was} is traded, and is not moved: connect another account."
        )
    if account.currency != probed.balance.currency:
        raise Elsewhere(
            f"{account.name} is counted in {account.currency}, and this key was tried for {probed.balance.currency}: "
            f"name {account.currency}, or connect another account."
        )


@transaction.atomic
def revoke(credential: Credential, why: str, by: User | None, *, who: str = "") -> bool:
    """Forget a key, and let its accounts take no entries from now on; whether there was one to forget."""
    pause_accounts(credential, f"its key {credential.label!r} was revoked: {why}", by=by, who=who)
    return credentials.revoke(credential, why, by)


@transaction.atomic
def invalidate(credential: Credential, why: str) -> bool:
    """The venue refuses a key, or it does not open: its accounts take no entries until somebody has seen to it. Whether that is news."""
    pause_accounts(credential, f"its key {credential.label!r} does not work: {why}", who=HOUSE)
    return credentials.refused(credential, why)


@transaction.atomic
def accepted(credential: Credential, said: Said | None) -> bool:
    """The venue accepts a key, and says what it may do (None: it tells no rights); whether that is news. One that may do more than it
    should by now, or less than it must, stays, for exits and protection; its accounts take no entries until another is in its place, or
    its rights are put right."""
    news = credentials.checked(credential, said or Said())
    if said is not None and (problem := _problem(said.rights)):
        pause_accounts(credential, f"its key {credential.label!r} {problem}", who=HOUSE)
    return news


def _problem(rights: frozenset[str]) -> str:
    """What is wrong with these rights; "" for nothing."""
    if rights & FORBIDDEN:
        return (
            "may withdraw money by now; put one in its place that may only read and trade, and delete it at the venue"
        )
    missing = sorted(NEEDED - rights)
    return (
        f"may not {' and '.join(missing)} any more; give it that right at the venue, or put another in its place"
        if missing
        else ""
    )


def accounts_of(credential: Credential) -> list[Account]:
    """The accounts that trade with it."""
    return list(Account.objects.filter(credential=credential).order_by("pk"))


def pause_accounts(credential: Credential, reason: str, *, by: User | None = None, who: str = "") -> None:
    """No entries on its accounts, unless they are stopped as strictly already."""
    for account in accounts_of(credential):
        switch(Where.of_account(account), AccountState.REDUCING, reason, utc_now(), by=by, who=who, only_stricter=True)


def said_by(probed: Probed) -> Said:
    """What is kept of a probe."""
    return Said() if probed.rights is None else Said(probed.rights.rights, probed.rights.seen_from)


def revoke_all(
    why: str, *, venue: str = "", tenant_id: int | None = None, who: str = HOUSE, only_count: bool = False
) -> int:
    """The drill for a leak: revoke every credential, or those of a venue or workspace, a transaction for each; returns how many.

    What was done stays done where it is ended; run again it does the rest.
    """
    with across_tenants(REVOCATION, one_transaction=True):
        rows = Credential.objects.filter(revoked_at__isnull=True).order_by("pk")
        if venue:
            rows = rows.filter(venue=venue)
        if tenant_id is not None:
            rows = rows.filter(tenant_id=tenant_id)
        if only_count:
            return rows.count()
        found = list(rows)
    revoked = 0
    for row in found:
        with acting_for(row.tenant_id):
            revoked += revoke(row, why, None, who=who)
    return revoked
