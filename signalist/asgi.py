"""The web process's entry point: `daphne signalist.asgi:application`."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from signalist.environment import Misconfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")

try:
    application = get_asgi_application()
except Misconfigured as problem:
    raise SystemExit(str(problem)) from None
