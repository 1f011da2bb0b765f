"""What people do in a simulation, at any moment, also between two commits of the engine's: they pause, cancel, change terms, close."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from signalist.accounts.models import Account, AccountState
from signalist.engine.simulation.cast import Cast, follow, terms
from signalist.engine.simulation.dice import Dice
from signalist.engine.simulation.watching import Trace
from signalist.execution.actions import close, flatten
from signalist.trading.actions import cancel, change_terms, pause, resume
from signalist.trading.models import ACTIVE_ORDER, Order, Position, Subscription, SubscriptionStatus
from signalist.trading.terms import Refused
from tenants.doors import across_tenants


class People:
    """Everybody but the engine and the venue."""

    def __init__(self, cast: Cast, dice: Dice, trace: Trace) -> None:
        self._cast, self._dice, self._trace = cast, dice, trace
        self._done = 0

    def act(self, now: datetime) -> None:
        """Somebody does something; what is refused is refused."""
        n, self._done = self._done, self._done + 1
        acts: list[tuple[str, Callable[[int, datetime], str]]] = [
            ("pause", self._pause),
            ("resume", self._resume),
            ("resume", self._resume),
            ("terms", self._change),
            ("close", self._close),
            ("close", self._close),
            ("flatten", self._flatten),
            ("cancel", self._cancel),
            ("follow", self._follow),
            ("follow", self._follow),
        ]
        what, act = self._dice.pick(acts, "act", n)
        with across_tenants("simulation"):
            try:
                whom = act(n, now)
            except Refused as refused:
                whom = f"refused: {refused}"
        self._trace.say(f"people: {what} {whom}")

    def give_up(self, now: datetime) -> None:
        """The story ends: halted accounts are resumed, and everybody closes everything."""
        with across_tenants("simulation"):
            Account.objects.filter(state=AccountState.HALTED).update(state=AccountState.ACTIVE, state_reason="")
            entering = Order.objects.filter(status__in=ACTIVE_ORDER).values_list("account_id", flat=True)
            trading = {*entering, *Position.objects.filter(is_open=True).values_list("account_id", flat=True)}
            for account in self._cast.accounts:
                if account.pk in trading:
                    flatten(account, f"end {account.venue_ref}", "the story ends", now)

    # --- What they do ----------------------------------------------------------------------------

    def _someone(self, n: int, *statuses: SubscriptionStatus) -> Subscription | None:
        found = [s for s in self._cast.subscriptions if s.status in statuses]
        return self._dice.pick(found, "who", n) if found else None

    def _pause(self, n: int, now: datetime) -> str:
        subscription = self._someone(n, SubscriptionStatus.ACTIVE)
        if subscription is not None:
            pause(subscription, now)
        return _name(subscription)

    def _resume(self, n: int, now: datetime) -> str:
        subscription = self._someone(n, SubscriptionStatus.PAUSED)
        if subscription is not None:
            resume(subscription, now)
        return _name(subscription)

    def _change(self, n: int, now: datetime) -> str:
        subscription = self._someone(n, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED)
        if subscription is not None:
            change_terms(subscription, terms(self._dice, f"changed {n}"), now)
        return _name(subscription)

    def _cancel(self, n: int, now: datetime) -> str:
        subscription = self._someone(n, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAUSED)
        if subscription is not None:
            cancel(subscription, now)
            self._cast.subscriptions.remove(subscription)
        return _name(subscription)

    def _follow(self, n: int, now: datetime) -> str:
        account = self._dice.pick(self._cast.accounts, "account", n)
        schedule = self._dice.pick(self._cast.schedules, "schedule", n)
        account.refresh_from_db()
        return _name(follow(self._cast, self._dice, account, schedule, now))

    def _close(self, n: int, now: datetime) -> str:
        account = self._dice.pick(self._cast.accounts, "account", n)
        held = Position.objects.filter(account=account, is_open=True).order_by("pk").select_related("account").first()
        if held is not None:
            close(held, f"close {n}", "closed by hand", now)
        return account.venue_ref

    def _flatten(self, n: int, now: datetime) -> str:
        account = self._dice.pick(self._cast.accounts, "account", n)
        flatten(account, f"flatten {n}", "flattened by hand", now)
        return account.venue_ref


def _name(subscription: Subscription | None) -> str:
    return "nobody" if subscription is None else str(subscription.public_id)[:8]
