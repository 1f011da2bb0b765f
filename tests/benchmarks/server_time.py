"""How long the server takes for every page, on the data of `DATABASE_URL`: `python -m tests.benchmarks.server_time --json`.

Pages are found by following links from the dashboard as the person that `--as` names. Each is asked `--times` times in one process,
without a network in between; what is measured is the work of all middleware, the view and its template. Milliseconds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence

import django

from signalist.clock import monotonic

LINK = re.compile(r'href="(/[^"#?]*)')
LEFT_OUT = ("/static/", "/admin/", "/accounts/")
SAME_KIND = re.compile(r"/(?:[0-9a-f]{8}-[0-9a-f-]{27}|\d+)/")


def main() -> int:
    """Measure and print; exit status 1 where a page does not answer with 200."""
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "signalist.settings")
    django.setup()
    from django.test import Client
    from django.test.utils import setup_test_environment

    from tenants.models import User

    setup_test_environment()
    client = Client()
    client.force_login(User.objects.get(email=options.person), backend=None)
    found: dict[str, dict[str, object]] = {}
    for path in _pages(client, options.start):
        found[path] = _measured(client, path, options.times)
    slowest = max(float(str(page["p95_ms"])) for page in found.values())
    if options.json:
        print(json.dumps({"pages": found, "slowest_p95_ms": slowest}))  # noqa: T201 this is what a benchmark says
    else:
        for path, page in sorted(found.items()):
            print(f"{page['p50_ms']:>8} {page['p95_ms']:>8} {page['queries']:>4} {page['status']}  {path}")  # noqa: T201 as above
        print(f"slowest p95: {slowest} ms")  # noqa: T201 as above
    return 0 if all(page["status"] == 200 for page in found.values()) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as", dest="person", default="demo@signalist.example")
    parser.add_argument("--start", default="/dashboard/")
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _pages(client: object, start: str) -> Iterator[str]:
    """Every page that links lead to; of pages that differ only in a number or a UUID, the first two."""
    waiting, seen, kinds = [start], {start}, {}  # type: list[str], set[str], dict[str, int]
    while waiting:
        path = waiting.pop(0)
        yield path
        body = client.get(path).content.decode()  # type: ignore[attr-defined]
        for link in LINK.findall(body):
            kind = SAME_KIND.sub("/*/", link)
            if link in seen or link.startswith(LEFT_OUT) or kinds.get(kind, 0) >= (2 if kind != link else 1):
                continue
            kinds[kind] = kinds.get(kind, 0) + 1
            seen.add(link)
            waiting.append(link)


def _measured(client: object, path: str, times: int) -> dict[str, object]:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        status = client.get(path).status_code  # type: ignore[attr-defined]
    queries = len(captured)  # the next request forgets them
    spent = []
    for _ in range(times):
        begun = monotonic()
        client.get(path)  # type: ignore[attr-defined]
        spent.append((monotonic() - begun) * 1000)
    return {
        "status": status,
        "queries": queries,
        "p50_ms": round(_percentile(spent, 0.5), 1),
        "p95_ms": round(_percentile(spent, 0.95), 1),
    }


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(round(share * (len(ordered) - 1)), len(ordered) - 1)]


if __name__ == "__main__":
    sys.exit(main())
