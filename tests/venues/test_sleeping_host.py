"""A host that was put to sleep: what its engine had in hand is past its deadline when it wakes."""

from __future__ import annotations

import time

import pytest

from signalist.clock import monotonic
from signalist.venues.errors import NotSent
from signalist.venues.transport import fence
from signalist.venues.transport.fence import Tenure, fenced


def test_the_fence_of_what_was_claimed_before_a_sleep_is_past(monkeypatch: pytest.MonkeyPatch) -> None:
    tenure = Tenure(6.0)
    tenure.renewed(monotonic())
    with fenced(tenure.fence()):
        fence.check()
        real = time.clock_gettime
        slept = {time.CLOCK_BOOTTIME: 3600.0}  # the only one of the steady clocks that counts it
        monkeypatch.setattr(time, "clock_gettime", lambda which: real(which) + slept.get(which, 0.0))
        with pytest.raises(NotSent, match="not seen for too long"):
            fence.check()
    tenure.renewed(monotonic())
    with fenced(tenure.fence()):
        fence.check()
