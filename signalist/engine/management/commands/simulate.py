"""`manage.py simulate`: seeds of the whole pipeline, on a simulated clock, at a venue that misbehaves."""

from __future__ import annotations

import json
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from signalist.clock import monotonic
from signalist.db.connections import no_waiting_for_disk
from signalist.engine.simulation.database import NotOurs, check
from signalist.engine.simulation.faults import Fault
from signalist.engine.simulation.story import Outcome, simulate
from signalist.engine.simulation.watching import LEGAL, Move
from tenants.doors import across_tenants

VIOLATED, CANNOT = 1, 2


class Command(BaseCommand):
    """The report on standard output, progress on standard error; status 1 where an invariant was violated, 2 where it cannot run."""

    requires_system_checks = ()  # they would load every page
    help = "Simulate the whole pipeline from seeds, with a venue that misbehaves, and check what must always hold."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--seeds", type=_seeds, default=(1, 50), help="the first and the last seed, such as 1-50")
        parser.add_argument("--trace", action="store_true", help="tell each story, step by step")
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        settings.DEBUG = False  # Django keeps every statement of a debugging process in memory
        first, last = options["seeds"]
        try:
            with across_tenants("simulation"):
                check()
            call_command("migrate", verbosity=0, interactive=False)
            no_waiting_for_disk()
        except NotOurs as error:
            self._refuse(str(error))
        except DatabaseError as error:
            self._refuse(f"The database that DATABASE_URL names cannot be used: {str(error).strip().splitlines()[0]}.")
        begun, outcomes = monotonic(), list[Outcome]()
        for seed in range(first, last + 1):
            outcomes.append(simulate(seed))
            self._tell(outcomes[-1], trace=options["trace"])
        report = _report(outcomes, monotonic() - begun)
        self.stdout.write(json.dumps(report) if options["json"] else _text(report))
        if report["failed"]:
            sys.exit(VIOLATED)

    def _tell(self, outcome: Outcome, *, trace: bool) -> None:
        if trace:
            self.stderr.write("\n".join(outcome.trace))
        if outcome.holds:
            self.stderr.write(
                f"seed {outcome.seed}: {outcome.orders} orders, {outcome.faults.total()} faults, "
                f"{outcome.kills} engines killed, {outcome.trades} trades"
            )
            return
        self.stderr.write(
            f"seed {outcome.seed} FAILED at step {outcome.step}\n  {outcome.invariant}: {outcome.numbers}\n"
            f"  again: manage.py simulate --seeds {outcome.seed}-{outcome.seed} --trace"
        )

    def _refuse(self, sentence: str) -> None:
        self.stderr.write(sentence)
        sys.exit(CANNOT)


def _report(outcomes: list[Outcome], seconds: float) -> dict[str, Any]:
    """The JSON object of `manage.py simulate`."""
    faults, moves = Counter[Fault](), Counter[Move]()
    for outcome in outcomes:
        faults.update(outcome.faults)
        moves.update(outcome.moves)
    return {
        "seeds": len(outcomes),
        "failed": [
            {"seed": o.seed, "step": o.step, "invariant": o.invariant, "numbers": o.numbers}
            for o in outcomes
            if not o.holds
        ],
        "orders": sum(o.orders for o in outcomes),
        "fewest_orders": min(o.orders for o in outcomes),
        "fewest_faults": min(o.faults.total() for o in outcomes),
        "trades": sum(o.trades for o in outcomes),
        "engines_killed": sum(o.kills for o in outcomes),
        "steps": sum(o.steps for o in outcomes),
        "faults": {fault.value: faults[fault] for fault in Fault},
        "transitions": {f"{a} -> {b}": moves[a, b] for a, b in LEGAL},
        "never_taken": [f"{a} -> {b}" for a, b in LEGAL if not moves[a, b]],
        "seconds": round(seconds, 3),
        "digests": {str(o.seed): o.digest for o in outcomes},
    }


def _text(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = []
    for name, value in report.items():
        if name == "digests":
            continue
        if isinstance(value, dict):
            lines += [name, *(f"    {key:24} {count}" for key, count in value.items())]
        elif isinstance(value, list):
            lines.append(f"{name:20} {'; '.join(map(str, value)) or 'none'}")
        else:
            lines.append(f"{name:20} {value}")
    return "\n".join(lines)


def _seeds(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
    if found is None or int(found[1]) > int(found[2]):
        raise ArgumentTypeError(f"give the first and the last seed, such as 1-50, not {text!r}")
    return int(found[1]), int(found[2])
