"""What a report of an exception may say: where it happened, and neither the variables of a frame nor what a form held.

Any variable may be a secret that has just been opened, and a form's field a password; a list of dangerous names would be one name short.
"""

from __future__ import annotations

import re
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class NothingHeld(SafeExceptionReporterFilter):
    """Django's filter, of which the names are left and every value is gone. With Django's debugging pages on, everything is shown."""

    # Addresses are secrets where whoever knows them may call them.
    hidden_settings = re.compile("API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|URL|DSN|HOOK", re.IGNORECASE)

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        """The names of a form's fields."""
        given = {} if request is None else request.POST
        if not self.is_active(request):
            return dict(given)
        return dict.fromkeys(given, self.cleansed_substitute)

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> Any:
        """The names of a frame's variables."""
        if not self.is_active(request):
            return tb_frame.f_locals.items()
        return [(name, self.cleansed_substitute) for name in tb_frame.f_locals]
