"""Acme with one of everything that an address can be about, and the people who try to reach it."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.apps import apps
from django.core import mail
from django.db import connection
from django.test import Client

from signalist.accounts.models import Account
from signalist.api.actions import Made, make
from signalist.api.scopes import SCOPES
from signalist.domain.orders import OrderType, Side
from signalist.domain.signals import Direction
from signalist.downloads import files
from signalist.strategies.models import Strategy
from signalist.trading.discrepancies import Discrepancy
from signalist.trading.models import Instruction, Order, Position
from signalist.trading.order_actions import cancel_order
from signalist.trading.tickets import Ticket, give
from tenants.belonging import Invitation, RoleChange
from tenants.doors import across_tenants, acting_for
from tenants.models import Credential, Membership, Role, Tenant, User
from tenants.rows import TenantRow
from tenants.vault import seal
from tenants.workspaces.invitations import invite
from tenants.workspaces.sharing import share
from tests.cast import PASSWORD, Cast, person
from tests.flows.by_hand import looks, trades
from tests.flows.scene import LONG, entry
from tests.pages.following import acme_follows

D = Decimal
SECRET = "Kp7-a-secret-of-acme-Zq3"


class World:
    """The things by the names that lines give them, and the people by what they are to Acme."""

    def __init__(
        self, workspace: str, things: dict[str, tuple[Any, ...]], people: dict[str, User | None], marks: set[str]
    ) -> None:
        self.workspace, self.things, self.people, self.marks = workspace, things, people, marks
        self.keys: dict[str, str] = {}
        self.clients = {name: _stepped_up(who) for name, who in people.items()}

    def digest(self) -> str:
        """All rows of all workspaces, as one number: whether anything has changed."""
        digest = hashlib.sha256()
        with across_tenants("tests"), connection.cursor() as cursor:
            for model in apps.get_models():
                if issubclass(model, TenantRow) and model._meta.app_label != "audit" and model._meta.managed:
                    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)} ORDER BY 1")
                    digest.update(repr(cursor.fetchall()).encode())
        return digest.hexdigest()


def _stepped_up(who: User | None) -> Client:
    client = Client()
    if who is not None:
        client.post("/accounts/login/", {"login": who.email, "password": PASSWORD})
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        assert client.session.get("_auth_user_id") == str(who.pk), f"{who.email} could not log in"
    return client


@contextmanager
def one_of_everything(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Acme trades: a position with its orders, a difference, a command; it has a key, an invitation and a role that waits."""
    monkeypatch.setattr("django.conf.settings.LOOPBACK_URL", "http://127.0.0.1:9")
    with acme_follows(cast, monkeypatch) as acme:
        scene, now = acme.scene, acme.scene.clock.now()
        strategy = scene.crossover.version.strategy
        strategy.author = cast.olivia
        strategy.save()
        desk = acme.follower("Acmes-desk")
        said = scene.signal(entry(LONG, "39600", "40800"))[0]
        resting = acme.account("Acmes-hand")
        wanted = Ticket(scene.btc, Direction.LONG, OrderType.LIMIT, D(2), None, D(39_800), D(39_000), None, D(10))
        give(resting, wanted, "limit", now, cast.theo, nets=True)
        scene.settle()
        order = Order.objects.get(leg="ENTRY", account=resting)
        trades(scene, desk, Side.SELL, "1")
        looks(scene)
        cancel_order(order, "cancel", scene.clock.now(), cast.theo)
        anna, stan, sam = person("Anna"), person("Stan"), person("Sam")
        stan.is_staff = True
        stan.save()
        analyst = Membership.objects.create(tenant=cast.acme, user=anna, role=Role.ANALYST)
        shares = Membership.objects.get(tenant=cast.acme, user=cast.olivia)
        Membership.objects.create(tenant=cast.acme, user=sam, role=Role.READONLY)
        other = Strategy.objects.create(slug="acmes-other", name="Other", author=cast.olivia)
        with acting_for(cast.acme.pk):
            share(shares, desk.account, sam.public_id, "trade")
            grant = share(shares, other, cast.theo.public_id, "read")
        _known(cast.olivia, cast.theo, cast.vera, cast.gus, anna, stan, sam)
        position = Position.objects.filter(subscription=desk).latest("pk")
        command = Instruction.objects.filter(account=resting).latest("pk")
        account: Account = desk.account
        credential = _credential(cast)
        invitation, token = _invitation(cast)
        waiting = RoleChange.objects.create(
            tenant=cast.acme, membership=analyst, before=Role.ANALYST, after=Role.ADMIN, asked_by=cast.olivia
        )
        people: dict[str, User | None] = {
            "anonymous": None,
            "outsider": cast.gus,
            "staff": stan,
            "READONLY": cast.vera,
            "ANALYST": anna,
            "TRADER": cast.theo,
            "ADMIN": cast.olivia,
            "SHARED": sam,
        }
        keys = {
            who: _key(cast.globex if user == cast.gus else cast.acme, user)
            for who, user in people.items()
            if user not in (None, stan)
        }
        things: dict[str, tuple[Any, ...]] = {
            "slug": (strategy.slug,),
            "version": (strategy.slug, 1),
            "change": (strategy.slug, 1, "retire"),
            "instrument": (scene.btc.pk,),
            "subscription": (desk.public_id,),
            "position": (position.pk,),
            "level": (position.pk, "stop"),
            "order": (order.client_order_id,),
            "account": (account.public_id,),
            "difference": (account.public_id, Discrepancy.objects.latest("pk").public_id),
            "signal": (said.public_id,),
            "command": (command.public_id,),
            "switch": ("account", account.public_id),
            "credential": (credential.public_id,),
            "venue": ("loopback",),
            "invitation": (invitation.public_id,),
            "membership": (anna.public_id,),
            "role_change": (waiting.public_id,),
            "shared": ("account", account.public_id),
            "grant": ("strategy", grant.public_id),
            "token": (token,),
            "key": (keys["TRADER"].row.public_id,),
            "file": (_file(cast),),
            "person": (cast.theo.public_id,),
            "stale": ("a-link-of-last-year",),
        }
        marks = {
            "Acmes-desk",
            "Acmes-hand",
            "Acmes-key",
            "Acmes-bot",
            SECRET,
            "guest-of-acme@example.com",
            cast.theo.email,
        }
        marks |= {str(value) for name in things for value in things[name] if isinstance(value, uuid.UUID)}
        marks -= {str(said.public_id), str(cast.theo.public_id)}
        world = World(str(cast.acme.public_id), things, people, marks)
        world.keys = {who: made.text for who, made in keys.items()}
        began = world.clients["staff"].post("/staff/powers/", {"reason": "the walk of all addresses"})
        assert began.headers["Location"] == "/staff/"
        yield world


def _key(tenant: Tenant, user: User | None) -> Made:
    assert user is not None
    return make(tenant.pk, user, "Acmes-bot" if tenant.name == "Acme" else "bot", SCOPES.keys())


def _file(cast: Cast) -> uuid.UUID:
    made = files.ask(cast.acme.pk, cast.theo.pk, "export", "json", "acme.zip")
    begun = files.begin(made.pk, 1)
    assert begun is not None
    files.keep(begun, 0, b"Acmes-desk and all that it did")
    files.ready(begun, 30)
    public_id: uuid.UUID = made.public_id
    return public_id


def _known(*people: User) -> None:
    for who in people:
        EmailAddress.objects.create(user=who, email=who.email, verified=True, primary=True)


def _credential(cast: Cast) -> Credential:
    credential = Credential(tenant=cast.acme, venue="loopback", label="Acmes-key")
    seal(credential, {"key": SECRET, "secret": SECRET})
    credential.save()
    return credential


def _invitation(cast: Cast) -> tuple[Invitation, str]:
    mail.outbox.clear()
    by = Membership.objects.get(tenant=cast.acme, user=cast.olivia)
    invitation = invite(by, "guest-of-acme@example.com", Role.READONLY, "http://testserver/invitations/TOKEN/")
    found = re.search(r"/invitations/([^/\s]+)/", str(mail.outbox[-1].body))
    assert found
    return invitation, found[1]
