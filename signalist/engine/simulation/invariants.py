"""What must hold in every story: some of it after each step, the rest when the venue has been well for long enough.

`GRACE` is how long a position in the venue's book may be without a stop that covers it, counted from when it became so or when
something was last done to its account (a fault at the venue, a killed engine), whichever is later: the longest pause between two
attempts, and the looks that an order in doubt may take. Less than three looks of the engine at all its accounts are never enough,
whatever the clock says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from signalist.accounts import models as books
from signalist.accounts.models import Account, AccountState
from signalist.domain.money import ZERO, plain, settle
from signalist.domain.orders import Side
from signalist.engine.simulation.cast import DEPOSIT, Cast
from signalist.engine.simulation.watching import Violated
from signalist.engine.simulation.world import World
from signalist.events.models import Event
from signalist.strategies.models import Signal
from signalist.trading.discrepancies import Discrepancy, Kind
from signalist.trading.models import (
    ACTIVE_ORDER,
    AccountBalance,
    Execution,
    ExecutionStatus,
    Fill,
    Instruction,
    InstructionKind,
    Order,
    Position,
    Reservation,
    StopMove,
    Trade,
)
from signalist.trading.rebuild import differences
from signalist.venues.paper.book import PaperOrder

GRACE = timedelta(seconds=75)
TURNS = 3
_BY_RULE = (InstructionKind.EMERGENCY, InstructionKind.TIME_EXIT)
CANNOT_CLOSE = "a position cannot be closed"
Place = tuple[str, str]


@dataclass(slots=True)
class _Bare:
    """A position that no stop covers: since when, and how often the engine has looked at everything since."""

    since: datetime
    turns: int = 0


class Invariants:
    """The invariants of one seed; remembers what it has read, since nothing of it may change."""

    def __init__(self, world: World, cast: Cast) -> None:
        self._world, self._cast = world, cast
        self._tape: dict[tuple[str, str], books.PaperTape] = {}
        self._flow: dict[str, Decimal] = defaultdict(lambda: DEPOSIT)
        self._tape_read = self._fills_read = 0
        self._booked: set[tuple[str, str]] = set()
        self._refs = {account.pk: account.venue_ref for account in cast.accounts}
        self._bare: dict[Place, _Bare] = {}

    # --- Always ----------------------------------------------------------------------------------

    async def after_step(self, *, swept: bool = False) -> None:
        """Raise Violated where something does not hold that always must; `swept`: the engine has just read all its accounts."""
        if self._world.venue.violations:
            raise Violated("requests", self._world.venue.violations[0])
        audit = await self._world.exchange.audit()
        if audit.duplicates:
            raise Violated("one entry per signal and subscription", f"{audit.duplicates} too many at the venue")
        self._read_tape()
        self._read_fills()
        self._cash()
        self._halts()
        self._agree()
        self._covered(audit.unprotected, swept=swept)

    def _read_tape(self) -> None:
        """The venue's fills, and the money that flowed with them."""
        for row in books.PaperTape.objects.filter(pk__gt=self._tape_read).order_by("pk"):
            self._tape_read = row.pk
            if row.fill_id:
                self._tape[row.ref, row.fill_id] = row
                self._flow[row.ref] -= settle(row.quantity * row.price) * Side(row.side).sign + row.fee

    def _read_fills(self) -> None:
        """Every fill of ours is the venue's, once, and word for word."""
        for fill in Fill.objects.filter(pk__gt=self._fills_read).order_by("pk").select_related("order"):
            self._fills_read = fill.pk
            place = self._refs[fill.account_id], fill.venue_fill_id
            row = self._tape.get(place)
            if row is None or place in self._booked:
                what = "booked twice" if row is not None else "not on the venue's tape"
                raise Violated("fills are the venue's", f"{place[1]} of {place[0]} is {what}")
            self._booked.add(place)
            ours = fill.order.client_order_id, fill.side, fill.quantity, fill.price, fill.fee
            if ours != (row.client_order_id, row.side, row.quantity, row.price, row.fee):
                raise Violated("fills are the venue's", f"{place[1]} of {place[0]} is booked as {ours}")

    def _agree(self) -> None:
        """Nobody trades past us here: any difference is a false alarm, but for an order that is in doubt, or an exit that is held back,
        indeed."""
        for row in Discrepancy.objects.exclude(kind__in=[Kind.ORDER_IN_DOUBT, Kind.EXIT_HELD]).order_by("pk")[:1]:
            raise Violated("no false alarm", f"{row.kind} {row.symbol} {row.subject}: {row.ours} and {row.theirs}")

    def _cash(self) -> None:
        """The venue's cash is the deposit and what flowed; what positions cost is in them."""
        values: dict[str, Decimal] = defaultdict(Decimal)
        for position in books.PaperPosition.objects.exclude(quantity=ZERO):
            values[position.ref] += position.value
        for account in books.PaperAccount.objects.order_by("ref"):
            due = self._flow[account.ref] + values[account.ref]
            if account.cash != due:
                raise Violated("cash is conserved", f"{account.ref} holds {plain(account.cash)}, {plain(due)} is due")

    def _halts(self) -> None:
        for account in Account.objects.filter(state=AccountState.HALTED).order_by("pk"):
            if not account.state_reason.startswith(CANNOT_CLOSE):
                raise Violated("books and venue agree", f"{account.venue_ref} was halted: {account.state_reason}")

    def _covered(self, unprotected: tuple[Place, ...], *, swept: bool) -> None:
        world, now = self._world, self._world.clock.now()
        self._bare = {place: self._bare.get(place, _Bare(now)) for place in unprotected}
        for place, bare in self._bare.items():
            bare.turns += swept
            disturbed = [world.venue.disturbed.get(place[0]), world.killed_at]
            if any(moment is not None and moment >= bare.since for moment in disturbed):
                self._bare[place] = _Bare(now)
            elif now - bare.since > GRACE and bare.turns > TURNS:
                waited = (now - bare.since).total_seconds()
                raise Violated(
                    "a position is protected", f"{' '.join(place)} was bare for {waited:.0f} s: {self._at(place)}"
                )

    def _at(self, place: Place) -> str:
        """What stands in our own books where something is missing at the venue's."""
        symbol = place[1]
        orders = Order.objects.filter(account__venue_ref=place[0], instrument__symbol=symbol, status__in=ACTIVE_ORDER)
        held = Position.objects.filter(account__venue_ref=place[0], instrument__symbol=symbol, is_open=True)
        said = [f"{p} closing={p.is_closing} due={p.protection_due}" for p in held]
        return (
            "; ".join([*said, *(f"{o} {plain(o.quantity)} {o.reason!r}" for o in orders.order_by("pk"))]) or "nothing"
        )

    # --- When the venue has been well for long enough --------------------------------------------

    async def at_rest(self, *, flat: bool) -> None:
        """Raise Violated where something does not hold that must once nothing is under way; `flat`: and everybody has closed everything."""
        await self.after_step()
        for invariant, found in (
            ("nothing is under way", self._under_way()),
            ("one decision per signal and subscription", self._undecided()),
            ("every fill is booked", self._missed()),
            ("positions are the venue's", self._positions()),
            ("exactly one stop and no order too many", self._resting()),
            ("a stop only tightens", self._moves()),
            ("the money is the venue's", self._money(flat=flat)),
            ("the books fold from the fills", map(str, differences()) if flat else ()),
            ("every change has its event", self._events()),
        ):
            first = next(iter(found), None)
            if first is not None:
                raise Violated(invariant, first)
        if flat and (held := Position.objects.filter(is_open=True).count()):
            raise Violated("everything was closed", f"{held} positions are open")

    def unsettled(self) -> bool:
        """Whether something is still under way, which waiting may end."""
        return next(self._under_way(), None) is not None or next(self._missed(), None) is not None

    def _under_way(self) -> Iterator[str]:
        protecting = {"WORKING", "PARTIAL"}
        for order in Order.objects.filter(status__in=ACTIVE_ORDER).order_by("pk"):
            asked = order.busy or order.cancel_wanted or order.wanted_quantity is not None or order.superseded
            if asked or order.status not in protecting or order.leg not in ("STOP", "TARGET"):
                yield f"{order} {order.client_order_id} of {self._refs[order.account_id]} ({order.reason})"
        for position in Position.objects.filter(protection_due=True):
            yield f"{position} of {self._refs[position.account_id]} waits for its protection"
        for position in Position.objects.filter(is_open=True, is_closing=True):
            yield f"{position} of {self._refs[position.account_id]} is being closed"
        for held in Reservation.objects.filter(released=False).select_related("order"):
            yield f"a reservation of {plain(held.amount)} for {held.order}"
        for trade in Trade.objects.filter(measured=False):
            yield f"{trade} has not been measured"

    def _undecided(self) -> Iterator[str]:
        for execution in Execution.objects.filter(status=ExecutionStatus.PENDING):
            yield f"{execution} of {self._refs[execution.account_id]} is undecided"
        for signal in Signal.objects.filter(fanned_out_at__isnull=True):
            yield f"{signal} was not given to its followers"
        pairs = Counter(Execution.objects.exclude(signal=None).values_list("signal", "subscription"))
        for pair, count in pairs.items():
            if count > 1:
                yield f"{count} decisions of signal and subscription {pair}"

    def _missed(self) -> Iterator[str]:
        for ref, fill in self._tape.keys() - self._booked:
            yield f"{fill} of {ref} was never booked"

    def _positions(self) -> Iterator[str]:
        ours: dict[Place, Decimal] = defaultdict(Decimal)
        for position in Position.objects.filter(is_open=True).select_related("instrument"):
            sign = 1 if position.direction == "LONG" else -1
            ours[self._refs[position.account_id], position.instrument.symbol] += position.quantity * sign
        theirs = {(p.ref, p.symbol): p.quantity for p in books.PaperPosition.objects.exclude(quantity=ZERO)}
        for place in sorted(ours.keys() | theirs.keys()):
            if ours.get(place, ZERO) != theirs.get(place, ZERO):
                held = f"{plain(ours.get(place, ZERO))} is ours, {plain(theirs.get(place, ZERO))} the venue's"
                yield f"{' '.join(place)}: {held}"

    def _resting(self) -> Iterator[str]:
        """At the venue: under each position one stop of its size, targets for no more than it, and nothing else."""
        resting: dict[Place, list[PaperOrder]] = defaultdict(list)
        for order in self._world.exchange.store.resting():
            resting[order.ref, order.symbol].append(order)
        held = {(p.ref, p.symbol): p.quantity for p in books.PaperPosition.objects.exclude(quantity=ZERO)}
        for place in sorted(resting.keys() | held.keys()):
            quantity = abs(held.get(place, ZERO))
            legs = Counter(order.tag.rpartition(":")[2] for order in resting[place])
            left = {leg: sum(o.remaining for o in resting[place] if o.tag.endswith(leg)) for leg in legs}
            targets = legs.pop("TARGET", 0) if quantity else 0
            stands = legs == (Counter({"STOP": 1}) if quantity else Counter()) and left.get("STOP", ZERO) == quantity
            if not stands or (targets and left["TARGET"] > quantity):
                rests = ", ".join(f"{o.tag.rpartition(':')[2]} of {plain(o.remaining)}" for o in resting[place])
                yield f"{' '.join(place)}: {plain(quantity)} is open, at the venue rests: {rests or 'nothing'}"

    def _moves(self) -> Iterator[str]:
        """Every move of a stop goes towards its market, and begins where the one before ended or where an entry's fill set it anew."""
        for move in StopMove.objects.select_related("position").order_by("pk"):
            sign = 1 if move.position.direction == "LONG" else -1
            if (move.was is not None and (move.level - move.was) * sign <= 0) or (move.price - move.level) * sign <= 0:
                yield f"{move.position}: from {move.was} to {move.level} at {move.price}"

    def _money(self, *, flat: bool) -> Iterator[str]:
        cash = {a.ref: a.cash for a in books.PaperAccount.objects.order_by("ref")}
        for balance in AccountBalance.objects.order_by("account"):
            ref = self._refs[balance.account_id]
            if balance.total != cash[ref]:
                yield f"{ref}: {plain(balance.total)} in our books, {plain(cash[ref])} at the venue"
            if flat and balance.available != balance.total:
                yield f"{ref}: {plain(balance.available)} of {plain(balance.total)} is free"
        if flat:
            booked: dict[str, Decimal] = defaultdict(lambda: DEPOSIT)
            for trade in Trade.objects.order_by("pk"):
                booked[self._refs[trade.account_id]] += trade.net
            for ref in sorted(cash):
                if booked[ref] != cash[ref]:
                    yield f"{ref}: the deposit and all trades make {plain(booked[ref])}, the venue holds {plain(cash[ref])}"

    def _events(self) -> Iterator[str]:
        """One event for each fill, trade, decision and command."""
        told = Counter(Event.objects.values_list("kind", flat=True))
        flattened = Execution.objects.filter(rule="flattened").count()
        commands = Counter(Instruction.objects.values_list("kind", flat=True))
        expected = {
            "order_filled": Fill.objects.count(),
            "trade_closed": Trade.objects.count(),
            "position_opened": Position.objects.count(),
            "execution_decided": Execution.objects.exclude(status=ExecutionStatus.PENDING).count() - flattened,
            "signal_generated": Signal.objects.count(),
            "signal_fanned_out": Signal.objects.count(),
            "emergency_exit": commands[InstructionKind.EMERGENCY.value],
            "time_exit": commands[InstructionKind.TIME_EXIT.value],
            "instruction_given": commands.total() - sum(commands[kind.value] for kind in _BY_RULE),
        }
        for kind, count in expected.items():
            if told[kind] != count:
                yield f"{told[kind]} events {kind}, {count} were due"
