"""The protection plans of a simulation's subscribers: half of them choose something, alone or together."""

from __future__ import annotations

from decimal import Decimal

from signalist.domain.protection import Plan, Rung
from signalist.engine.simulation.dice import Dice

_LADDER = (Rung(Decimal("0.5"), Decimal("0.3")), Rung(Decimal(1), Decimal("0.4")))


def drawn_plan(dice: Dice, name: str) -> Plan:
    """The plan of the subscription of this name; R and distances are small, so that a short story moves stops at all."""
    if dice.chance(0.5, "plan", name):
        return Plan()
    chosen = [dice.chance(0.5, "plan", name, part) for part in ("break even", "trail", "ladder", "minutes")]
    return Plan(
        dice.between("0.3", "1", "0.1", "plan", name, "gain") if chosen[0] else None,
        dice.between("0.002", "0.01", "0.001", "plan", name, "distance") if chosen[1] else None,
        _LADDER if chosen[2] else (),
        dice.whole(3, 10, "plan", name, "lives") if chosen[3] else None,
    )
