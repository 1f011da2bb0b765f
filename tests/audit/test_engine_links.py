"""The lasting engine links what is recorded within five seconds."""

from __future__ import annotations

import asyncio

from asgiref.sync import sync_to_async
from django.db import connections

from signalist.audit.models import Link
from signalist.audit.writing import record
from signalist.clock import SystemClock, monotonic
from signalist.db.wakes import wakes
from signalist.engine.live import LiveEngine
from tenants.doors import across_tenants
from tests.live.pages import elsewhere


async def test_what_is_recorded_is_linked_within_five_seconds(transactional_db: None) -> None:
    engine = LiveEngine(SystemClock())
    task = asyncio.create_task(engine.run())
    try:
        for number in (1, 2):
            await elsewhere(record, "login.failed", tenant_id=None, user_id=None, result="failed")
            begun = monotonic()
            while await elsewhere(_linked) < number:
                assert monotonic() - begun < 5.0
                await asyncio.sleep(0.05)
    finally:
        engine.stop()
        await asyncio.gather(task, return_exceptions=True)
        wakes.clear()
        await sync_to_async(connections.close_all)()


def _linked() -> int:
    with across_tenants("tests"):
        return Link.objects.count()
