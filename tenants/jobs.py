"""What the worker is asked to do with credentials."""

from __future__ import annotations

from django_q.tasks import async_task

from tenants.rotation import rotate

AT_MOST = 40.0
"""Seconds of one run; the job runner ends a task after sixty. What is left is the next run's."""


def rotate_keys() -> str:
    """Seal what keys seal under the newest for a while, and ask for another run where some is left; what was done, in words."""
    rotated = rotate(seconds=AT_MOST)
    if not rotated.is_over:
        async_task("tenants.jobs.rotate_keys", task_name="rotate keys")
    return f"sealed anew: {rotated.done + rotated.factors}, not opened: {len(rotated.failed)}" + (
        "" if rotated.is_over else ", goes on"
    )
