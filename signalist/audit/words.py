"""What people type beside what they do, kept so that a name in it can go: the entry holds a mark of the words, the words stand apart.

The mark is HMAC-SHA-256 of the text under a salt of its own (RFC 2104). As long as the salt is there, a changed text is found; where a
name had to go, the salt goes with it, so that the mark cannot be used to try out what the text was. No entry changes, and the chain holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Collection, Iterable, Sequence

from django.db import connection

from signalist.audit.models import Words

NAME = "words"
"""Under which an entry's details hold the mark."""
LONGEST = 500
_INSERT = "INSERT INTO audit_words (tenant_id, mark, salt, text) VALUES (%s, %s, %s, %s)"


def mark_of(text: str, salt: str) -> str:
    """The mark of a text under a salt, both as hexadecimal digits."""
    return hmac.new(bytes.fromhex(salt), text.encode(), hashlib.sha256).hexdigest()


def keep(text: str, tenant_id: int | None) -> str:
    """Write the words of an entry down, behind the entry's door; the mark."""
    text, salt = text.replace("\x00", "")[:LONGEST], secrets.token_hex(32)
    mark = mark_of(text, salt)
    with connection.cursor() as cursor:  # past the ORM, which has the row told back: who may append may not always read
        cursor.execute(_INSERT, [tenant_id, mark, salt, text])
    return mark


def told(marks: Collection[str]) -> dict[str, str]:
    """The words by their marks, as far as they are there. One query, or none."""
    return dict(Words.objects.filter(mark__in=marks).values_list("mark", "text")) if marks else {}


def in_words(details: Sequence[str]) -> list[str]:
    """Entries' details (JSON, as they are stored) with what was typed in the place of its marks. One query, or none."""
    read = [json.loads(text) for text in details]
    typed = told([found[NAME] for found in read if NAME in found])
    return [
        json.dumps(found | {NAME: typed.get(found[NAME], "")}, ensure_ascii=False, separators=(",", ":"))
        if NAME in found
        else text
        for found, text in zip(read, details, strict=True)
    ]


def forget(names: Iterable[str], instead: str) -> int:
    """Put `instead` for these names wherever they were typed, as whole words; in how many texts. Needs a door across tenants."""
    changed: set[int] = set()
    for name in sorted(names, key=len, reverse=True):
        whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)
        # SQLite knows no capitals but those of ASCII: asked for is a part that both databases find, and looked at is the whole name.
        part = max(re.findall(r"[\x20-\x7e]+", name), key=len, default="")
        for row in Words.objects.filter(text__icontains=part).order_by("pk"):
            text = whole.sub(lambda _: instead, row.text)
            if text != row.text:
                Words.objects.filter(pk=row.pk).update(text=text[:LONGEST], salt="")
                changed.add(row.pk)
    return len(changed)


def is_as_typed(row: Words) -> bool:
    """Whether the text is what its entry marks; one that a name was taken from can no longer be told."""
    return not row.salt or hmac.compare_digest(mark_of(row.text, row.salt), row.mark)
