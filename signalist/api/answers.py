"""How the API answers: JSON, errors of one shape, pages of a list by cursor, exact numbers as texts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, JsonResponse

MOST, USUALLY = 200, 50


class Refusal(Exception):
    """A request that is answered with an error: {"error": {"code", "message"}}. The message says what to do."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def answer(self) -> JsonResponse:
        """As a response. 401 names the scheme (RFC 6750)."""
        said = {"error": {"code": self.code, "message": self.message}}
        headers = self.headers | ({"WWW-Authenticate": 'Bearer realm="signalist"'} if self.status == 401 else {})
        return JsonResponse(said, status=self.status, headers=headers)


NOT_FOUND = Refusal(404, "not_found", "There is no such thing in this workspace.")


def plain(value: Any) -> Any:
    """A value as JSON says it: exact numbers as texts without an exponent, times in ISO 8601."""
    if isinstance(value, Decimal):
        return format(value.normalize() if value else Decimal(0), "f")
    if isinstance(value, date):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def listed(request: HttpRequest, rows: QuerySet[Any], shown: Callable[[Any], Mapping[str, Any]]) -> dict[str, Any]:
    """A page of `rows`, the newest first: {"data", "next"}; `next` is the `after` of the page that follows, null on the last.

    Pages are found by id, so what comes in meanwhile moves nothing. One query. Raises Refusal for a page that cannot be meant.
    """
    limit, after = limit_of(request), _after(request)
    if after is not None:
        rows = rows.filter(pk__lt=after)
    found: list[Model] = list(rows.order_by("-pk")[: limit + 1])
    there_is_more = len(found) > limit
    cursor = base64.urlsafe_b64encode(str(found[limit - 1].pk).encode()).decode() if there_is_more else None
    return {"data": [plain(shown(row)) for row in found[:limit]], "next": cursor}


def limit_of(request: HttpRequest) -> int:
    """How many are asked for. Raises Refusal."""
    given = request.GET.get("limit", str(USUALLY))
    if not given.isascii() or not given.isdecimal() or not 1 <= int(given[:6]) <= MOST:
        raise Refusal(400, "bad_request", f"limit is a number between 1 and {MOST}.")
    return int(given[:6])


def _after(request: HttpRequest) -> int | None:
    given = request.GET.get("after", "")
    try:
        return int(base64.urlsafe_b64decode(given.encode()).decode()) if given else None
    except (binascii.Error, ValueError):
        raise Refusal(400, "bad_request", "after is the `next` of the page before.") from None
