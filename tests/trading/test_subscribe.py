"""`subscribe`: what is refused, with the sentence that the subscriber reads; one live subscription per account and strategy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from signalist.accounts.models import Account
from signalist.domain.errors import DomainError
from signalist.domain.rules import Limits
from signalist.events.models import Event
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.trading.actions import cancel, pause, resume, subscribe
from signalist.trading.models import Subscription, SubscriptionStatus
from signalist.trading.terms import Terms
from tests.flows.scene import NOON, Scene, opened

SOUND = Terms(Decimal(10_000), risk_fraction=Decimal("0.01"), leverage=Decimal(2))


@pytest.fixture
def scene(transactional_db: None) -> Iterator[Scene]:
    """A market with a strategy on it."""
    with opened() as world:
        yield world


@pytest.fixture
def account(scene: Scene) -> Account:
    """Theo's account, in dollars."""
    return scene.account("Theo")


def follow(
    scene: Scene,
    account: Account,
    *,
    terms: Terms = SOUND,
    schedule: Schedule | None = None,
    instrument: Instrument | None = None,
    nets: bool = True,
) -> Subscription:
    return subscribe(account, schedule or scene.crossover, instrument or scene.btc, terms, NOON, nets=nets)


def test_a_subscription_holds_what_was_chosen_and_is_told(scene: Scene, account: Account) -> None:
    limits = Limits(3, 20, Decimal(500), Decimal("0.05"), Decimal("0.8"), Decimal("0.4"))
    made = follow(scene, account, terms=replace(SOUND, limits=limits))
    made.refresh_from_db()
    assert (made.account, made.strategy, made.instrument) == (account, scene.crossover.version.strategy, scene.btc)
    assert (made.capital, made.risk_fraction, made.notional_fraction, made.leverage) == (
        10_000,
        Decimal("0.01"),
        None,
        2,
    )
    assert made.limits() == limits
    assert (made.status, made.started_at) == (SubscriptionStatus.ACTIVE, NOON)
    told = Event.objects.get(kind="subscribed")
    assert (told.tenant_id, told.payload) == (
        account.tenant_id,
        {"subscription": str(made.public_id), "status": "ACTIVE"},
    )


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (
            replace(SOUND, notional_fraction=Decimal("0.1")),
            "Choose either a risk per trade or a share of capital per trade, not both and not neither.",
        ),
        (
            replace(SOUND, risk_fraction=None),
            "Choose either a risk per trade or a share of capital per trade, not both and not neither.",
        ),
        (
            replace(SOUND, risk_fraction=Decimal(2)),
            "The risk per trade is a fraction between 0 and 0.5 (0.02 means 2 %), not 2.",
        ),
        (
            replace(SOUND, risk_fraction=Decimal(0)),
            "The risk per trade is a fraction between 0 and 0.5 (0.02 means 2 %), not 0.",
        ),
        (
            replace(SOUND, risk_fraction=None, notional_fraction=Decimal("1.5")),
            "The share of capital lies between 0 and 1, not 1.5.",
        ),
        (replace(SOUND, capital=Decimal(0)), "The capital must be above zero."),
        (
            replace(SOUND, leverage=Decimal(21)),
            "paper:BTC-PERP offers a leverage of 1 to 20, not 21.",
        ),
        (
            replace(SOUND, leverage=Decimal("0.5")),
            "paper:BTC-PERP offers a leverage of 1 to 20, not 0.5.",
        ),
    ],
)
def test_terms_that_cannot_be_meant_are_refused(scene: Scene, account: Account, terms: Terms, sentence: str) -> None:
    scene.btc.refresh_from_db()
    with pytest.raises(DomainError) as refusal:
        follow(scene, account, terms=terms)
    assert str(refusal.value).replace(".0000000000", "") == sentence
    assert not Subscription.objects.exists()


def test_an_instrument_of_another_venue_is_refused(scene: Scene, account: Account) -> None:
    Instrument.objects.filter(pk=scene.btc.pk).update(venue="kraken")
    scene.btc.refresh_from_db()
    with pytest.raises(
        DomainError, match="^kraken:BTC-PERP is not traded at paper; choose one of this account's venue.$"
    ):
        follow(scene, account)


def test_an_instrument_without_a_declared_pair_is_refused(scene: Scene, account: Account) -> None:
    lone = scene.instrument("LONE-PERP", "1", pair=None)
    with pytest.raises(DomainError, match="^paper:LONE-PERP has no declared asset pair yet and cannot be subscribed.$"):
        follow(scene, account, instrument=lone)


def test_an_instrument_of_another_pair_is_refused(scene: Scene, account: Account) -> None:
    eth = scene.instrument("ETH-PERP", "2000", pair="ETH/USD")
    with pytest.raises(
        DomainError, match="^The strategy watches paper:BTC-PERP; paper:ETH-PERP is not of the same pair.$"
    ):
        follow(scene, account, instrument=eth)


def test_an_instrument_in_another_currency_than_the_accounts_is_refused(scene: Scene, account: Account) -> None:
    twin = scene.instrument("BTC-PERP-INR", "3000000", quote="INR")
    with pytest.raises(DomainError, match="^paper:BTC-PERP-INR is paid in INR, the account holds USD.$"):
        follow(scene, account, instrument=twin)


def test_another_instrument_of_the_pair_in_the_accounts_currency_is_taken(scene: Scene) -> None:
    twin = scene.instrument("BTC-PERP-INR", "3000000", quote="INR")
    made = follow(scene, scene.account("Indira", currency="INR"), instrument=twin)
    assert made.instrument == twin


# --- One at a time -------------------------------------------------------------------------------


def test_one_account_follows_a_strategy_once(scene: Scene, account: Account) -> None:
    follow(scene, account)
    other = scene.instrument("BTC-USD", "40000")
    with pytest.raises(DomainError, match="^This account follows the strategy already.$"):
        follow(scene, account, instrument=other)
    follow(scene, scene.account("Vera"))
    assert Subscription.objects.count() == 2


def test_the_database_holds_it_too(scene: Scene, account: Account) -> None:
    twin = follow(scene, account)
    twin.pk, twin.public_id = None, "00000000-0000-0000-0000-000000000001"  # type: ignore[assignment]
    twin._state.adding = True
    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save()


def test_one_that_has_ended_makes_room_for_the_next(scene: Scene, account: Account) -> None:
    first = follow(scene, account)
    cancel(first, NOON)
    second = follow(scene, account)
    assert second.pk != first.pk
    assert Subscription.objects.count() == 2


def test_one_that_is_paused_makes_no_room(scene: Scene, account: Account) -> None:
    pause(follow(scene, account), NOON)
    with pytest.raises(DomainError, match="follows the strategy already"):
        follow(scene, account)


def test_a_venue_that_nets_takes_one_subscription_per_instrument(scene: Scene, account: Account) -> None:
    follow(scene, account)
    momentum = scene.strategy("momentum", scene.btc)
    with pytest.raises(DomainError) as refusal:
        follow(scene, account, schedule=momentum)
    assert str(refusal.value) == (
        "The venue keeps one net position in BTC-PERP; another subscription of this account trades it."
    )


def test_a_venue_that_does_not_net_takes_several(scene: Scene, account: Account) -> None:
    follow(scene, account, nets=False)
    made = follow(scene, account, schedule=scene.strategy("momentum", scene.btc), nets=False)
    assert made.instrument == scene.btc


# --- Pausing -------------------------------------------------------------------------------------


def test_pause_and_resume_are_told_and_take_each_other_back(scene: Scene, account: Account) -> None:
    made = follow(scene, account)
    pause(made, NOON + timedelta(minutes=1))
    made.refresh_from_db()
    assert (made.status, made.paused_at) == (SubscriptionStatus.PAUSED, NOON + timedelta(minutes=1))
    resume(made, NOON + timedelta(minutes=2))
    made.refresh_from_db()
    assert (made.status, made.paused_at) == (SubscriptionStatus.ACTIVE, None)
    told = list(Event.objects.order_by("pk").values_list("kind", flat=True))
    assert told[-2:] == ["subscription_paused", "subscription_resumed"]


def test_what_is_paused_cannot_be_paused_again(scene: Scene, account: Account) -> None:
    made = follow(scene, account)
    pause(made, NOON)
    with pytest.raises(DomainError, match="^The subscription is not active; reload the page to see its state.$"):
        pause(made, NOON)
    assert Event.objects.filter(kind="subscription_paused").count() == 1


def test_what_runs_cannot_be_resumed(scene: Scene, account: Account) -> None:
    with pytest.raises(DomainError, match="^The subscription is not paused; reload the page to see its state.$"):
        resume(follow(scene, account), NOON)
