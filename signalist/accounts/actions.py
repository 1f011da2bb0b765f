"""What a person changes about their trading accounts."""

from __future__ import annotations

import uuid
from decimal import Decimal

from signalist.accounts.models import Account
from tenants.actions import open_workspace
from tenants.doors import acting_for
from tenants.models import Membership, User

PAPER_VENUE = "paper"
FIRST_DEPOSIT = Decimal(100_000)


def welcome(user: User) -> Membership:
    """Give a newcomer a workspace of their own, with a funded paper account to begin with."""
    membership = open_workspace(user)
    with acting_for(membership.tenant_id):
        open_paper_account(membership.tenant_id, "Paper", membership.tenant.base_currency, FIRST_DEPOSIT)
    return membership


def open_paper_account(tenant_id: int, name: str, currency: str, deposit: Decimal) -> Account:
    """Ask for a paper account; the engine opens it at the venue with `deposit` within a second or two."""
    key = uuid.uuid4()
    return Account.objects.create(
        tenant_id=tenant_id,
        public_id=key,
        name=name,
        venue=PAPER_VENUE,
        venue_ref=str(key),
        currency=currency,
        deposit=deposit,
    )
