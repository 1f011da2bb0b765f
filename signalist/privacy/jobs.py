"""What the worker is asked to do with people's data. Each may run twice or late: it does what is left to do."""

from __future__ import annotations

from signalist.clock import utc_now
from signalist.downloads.files import expire
from signalist.privacy.erasure import erase_due
from signalist.privacy.exports import make
from tenants.doors import across_tenants

MAKE = "signalist.privacy.jobs.make_export"
AT_MOST = 600
"""Seconds for one file; a repetition that comes meanwhile finds it claimed."""


def make_export(download_id: int, tenant_id: int) -> str:
    """Make the file that somebody asked for."""
    return make(download_id, tenant_id)


def keep_privacy() -> str:
    """Delete files whose time is over, and people whose grace period is; what was done, in words."""
    now = utc_now()
    with across_tenants("retention"):
        gone = expire(now)
    done, held_up = erase_due(now)
    return f"files gone: {gone}, people deleted: {done}, held up: {held_up}"
