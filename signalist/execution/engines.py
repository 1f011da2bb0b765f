"""Which engines live: registration, heartbeat, telling the dead from the living, and who feeds a market.

An engine is dead when it has not been seen for eight seconds, and one on this machine as soon as its process is gone. One that is only
frozen counts as dead, too: what it holds goes to others.
"""

from __future__ import annotations

import os
import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.models import F, Value

from signalist.clock import Clock
from signalist.db.units import unit
from signalist.execution.models import EngineProcess

# An engine shows every two seconds that it lives, whatever its venues do. One that was not seen for so long has lost its accounts to
# others, and must have stopped writing to venues well before: clocks, and a commit that was slow to be seen, lie between.
SILENT_AFTER = timedelta(seconds=8)
MAY_SEND = 6.0


class AnotherEngine(RuntimeError):
    """On SQLite one engine does all; a second one is refused."""


def register(clock: Clock, *, alone: bool = False, market_clock: str = "system") -> EngineProcess:
    """Enter this process. Raises AnotherEngine where only one may run (on SQLite, or when asked for) and one does."""
    now = clock.now()
    engine = EngineProcess(boot=_boot(), pid=os.getpid(), clock=market_clock, started_at=now, seen_at=now)
    engine.egress = settings.EGRESS[:100]
    with unit("engine.register"):
        living = living_engines(clock)
        if living and (alone or connection.vendor == "sqlite"):
            raise AnotherEngine(f"An engine already runs on this database (process {living[0].pid}); stop it first.")
        engine.save(force_insert=True)
    return engine


def living_engines(clock: Clock) -> list[EngineProcess]:
    """The engines that run now, the oldest first."""
    entered = EngineProcess.objects.filter(ended_at__isnull=True).order_by("started_at")
    return [engine for engine in entered if not _is_dead(engine, clock)]


def on_this_machine() -> list[EngineProcess]:
    """The engines that have not ended of this machine's present boot (or this container), the newest first."""
    return list(EngineProcess.objects.filter(boot=_boot(), ended_at__isnull=True).order_by("-started_at"))


def heartbeat(engine: EngineProcess, clock: Clock) -> None:
    """Show that this engine lives."""
    with unit("engine.heartbeat"):
        EngineProcess.objects.filter(pk=engine.pk).update(seen_at=clock.now(), ended_at=None, taken_over=False)


def beat_outside(engine: EngineProcess, clock: Clock, *, well: bool, said: str) -> None:
    """Note what came of the heartbeat outside the host."""
    with unit("engine.beat_outside"):
        failed = Value(0) if well else F("beats_failed") + 1
        EngineProcess.objects.filter(pk=engine.pk).update(
            beat_at=clock.now(), beat_well=well, beat_said=said[:200], beats_failed=failed
        )


def hangs(engine: EngineProcess, clock: Clock) -> None:
    """This engine can do nothing with its database: what it holds is for others at once. It lives again with its next heartbeat."""
    with unit("engine.hangs"):
        EngineProcess.objects.filter(pk=engine.pk, ended_at__isnull=True).update(ended_at=clock.now(), feeds="")


def sandboxed(engine: EngineProcess, *, level: str, refusal: str) -> None:
    """Note which walls stand around the strategies that this engine runs, and why a stranger's are refused, if they are."""
    with unit("engine.sandboxed"):
        EngineProcess.objects.filter(pk=engine.pk).update(sandbox=level, sandbox_said=refusal[:300])


def ended(engine: EngineProcess, clock: Clock) -> None:
    """This engine stops in good order."""
    with unit("engine.ended"):
        EngineProcess.objects.filter(pk=engine.pk).update(ended_at=clock.now(), feeds="")


def feeds(engine: EngineProcess, market: str) -> bool:
    """Whether this engine feeds `market` from now on: it did already, or nobody does. What a dead one fed is free once it is taken over."""
    try:
        with unit("engine.feeds"):
            feeder = EngineProcess.objects.filter(feeds=market).first()
            if feeder is None:
                return EngineProcess.objects.filter(pk=engine.pk).update(feeds=market) == 1
            return feeder.pk == engine.pk
    except IntegrityError:
        return False  # another engine was faster


def dead_engines(clock: Clock) -> set[uuid.UUID]:
    """The engines that are no more, ended or vanished, and that nobody has taken over from yet."""
    others = EngineProcess.objects.filter(taken_over=False)
    return {engine.pk for engine in others if engine.ended_at is not None or _is_dead(engine, clock)}


def taken_over(dead: set[uuid.UUID], clock: Clock) -> None:
    """What these engines left behind is in other hands now; one that was only silent says so with its next heartbeat."""
    with unit("engine.taken_over"):
        EngineProcess.objects.filter(pk__in=dead).update(taken_over=True, ended_at=clock.now(), feeds="")


def _is_dead(engine: EngineProcess, clock: Clock) -> bool:
    if engine.boot == _boot() and engine.pid != os.getpid() and not _runs(engine.pid):
        return True
    return clock.now() - engine.seen_at > SILENT_AFTER


def _runs(pid: int) -> bool:
    """Whether a process of this id runs and is not merely waiting to be collected by its parent."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def _boot() -> str:
    """Names this machine's present boot and our view of its processes: ids of another machine or container mean nothing here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"unknown-{uuid.getnode():x}"
