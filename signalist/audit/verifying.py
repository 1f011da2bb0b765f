"""Reads chains from their beginning and names every row that is not what it was when it was linked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Exists, OuterRef

from signalist.audit.chain import BEGINNING, hash_of
from signalist.audit.models import Entry, Head, Link, Words
from signalist.audit.words import NAME, is_as_typed

_AT_ONCE = 2000
_SEARCHED = 30  # so many rows that do not fit are tried at each other's places


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one row. kind: changed, removed, reordered, unlinked, cut_off or replaced. `entry_id` None where it is gone."""

    kind: str
    number: int
    entry_id: int | None
    words: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """How far a chain went at some earlier time, and with which hash, as somebody has kept it elsewhere."""

    number: int
    hash: str


@dataclass(slots=True)
class Report:
    """One chain. `waiting` entries are not linked yet; `oldest` is the time of the first of them."""

    tenant_id: int | None
    number: int = 0
    hash: str = BEGINNING
    waiting: int = 0
    oldest: datetime | None = None
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Misfit:
    link: Link
    entry: Entry


def chains() -> list[int | None]:
    """The tenants that have a chain, or entries for one; what belongs to nobody is the first."""
    found = set(Head.objects.values_list("tenant_id", flat=True))
    found |= set(Link.objects.values_list("tenant_id", flat=True).distinct())
    found |= set(Entry.objects.values_list("tenant_id", flat=True).distinct())
    return sorted(found, key=lambda tenant_id: (tenant_id is not None, tenant_id or 0))


def verify(tenant_id: int | None, anchors: Sequence[Anchor] = ()) -> Report:
    """Read one chain whole. Needs a door that shows it.

    Entries that were removed before they were linked, which takes seconds, leave no trace; nor does it show by itself where the end
    of a chain was cut off together with its head: for that there are anchors.
    """
    report = Report(tenant_id)
    kept = {anchor.number: anchor.hash for anchor in anchors}
    misfits: list[_Misfit] = []
    for link, entry in _rows(tenant_id):
        _look(report, link, entry, misfits)
        if link.number in kept and kept[link.number] != link.hash:
            report.findings.append(
                Finding(
                    "replaced", link.number, link.entry_id, f"number {link.number} had another hash when it was kept"
                )
            )
        report.number, report.hash = link.number, link.hash
    report.findings += _named(misfits) + _words(tenant_id)
    _look_at_end(report, anchors)
    report.findings.sort(key=lambda finding: (finding.number, finding.kind))
    unlinked = Entry.objects.filter(~Exists(Link.objects.filter(entry_id=OuterRef("pk"))), tenant_id=tenant_id)
    times = list(unlinked.order_by("at").values_list("at", flat=True))
    report.waiting, report.oldest = len(times), times[0] if times else None
    return report


def _words(tenant_id: int | None) -> list[Finding]:
    """What was typed and is not any more what its entry marks. Looked at are the words that there are, and the entries that mark some."""
    found = []
    numbers = Link.objects.filter(tenant_id=tenant_id)
    marked = {
        json.loads(details).get(NAME): entry_id
        for entry_id, details in Entry.objects.filter(tenant_id=tenant_id, details__contains=f'"{NAME}":')
        .values_list("pk", "details")
        .iterator()
    }
    for row in Words.objects.filter(tenant_id=tenant_id).iterator():
        entry_id = marked.pop(row.mark, None)
        if not is_as_typed(row) and entry_id is not None:
            number = numbers.filter(entry_id=entry_id).values_list("number", flat=True).first() or 0
            found.append(Finding("changed", number, entry_id, f"the words of entry {entry_id} were changed"))
    for entry_id in marked.values():
        number = numbers.filter(entry_id=entry_id).values_list("number", flat=True).first() or 0
        found.append(Finding("removed", number, entry_id, f"the words of entry {entry_id} are gone"))
    return found


def _rows(tenant_id: int | None) -> Iterator[tuple[Link, Entry | None]]:
    """The links in order, each with its entry, None where that is gone."""
    after = 0
    while links := list(Link.objects.filter(tenant_id=tenant_id, number__gt=after).order_by("number")[:_AT_ONCE]):
        entries: Mapping[int, Entry] = Entry.objects.in_bulk([link.entry_id for link in links])
        yield from ((link, entries.get(link.entry_id)) for link in links)
        after = links[-1].number


def _look(report: Report, link: Link, entry: Entry | None, misfits: list[_Misfit]) -> None:
    """Compare a link with the one before it and with its entry."""
    fits = entry is not None and hash_of(entry, link.number, link.previous) == link.hash
    misfit_before = bool(misfits) and misfits[-1].link.number == report.number
    if link.number != report.number + 1:
        gone = f"number {report.number + 1}" + (f" to {link.number - 1}" if link.number > report.number + 2 else "")
        report.findings.append(Finding("removed", report.number + 1, None, f"the links of {gone} are gone"))
    elif fits and link.previous != report.hash and not misfit_before:
        words = f"number {report.number} was put there in another's place: number {link.number} does not follow on it"
        report.findings.append(Finding("replaced", report.number, None, words))
    if entry is None:
        words = f"entry {link.entry_id}, number {link.number}, is gone"
        report.findings.append(Finding("removed", link.number, link.entry_id, words))
    elif not fits:
        misfits.append(_Misfit(link, entry))


def _named(misfits: Sequence[_Misfit]) -> list[Finding]:
    """Rows whose hash is not theirs: moved, where the row fits another of these places, else changed."""
    found = []
    for misfit in misfits:
        number = _belongs_at(misfit, misfits) if len(misfits) <= _SEARCHED else None
        here, entry = misfit.link.number, misfit.entry.pk
        if number is None:
            words = f"entry {entry}, number {here}, was changed, or its link was"
            found.append(Finding("changed", here, entry, words))
        else:
            words = f"entry {entry} stands as number {here} and was linked as number {number}"
            found.append(Finding("reordered", here, entry, words))
    return found


def _belongs_at(misfit: _Misfit, misfits: Sequence[_Misfit]) -> int | None:
    for place in misfits:
        for link in (
            misfit.link,
            place.link,
        ):  # entries may have been exchanged between links, or links between numbers
            number = place.link.number
            if number != misfit.link.number and hash_of(misfit.entry, number, link.previous) == link.hash:
                return number
    return None


def _look_at_end(report: Report, anchors: Sequence[Anchor]) -> None:
    head = Head.objects.filter(tenant_id=report.tenant_id).first()
    reached = max([anchor.number for anchor in anchors] + [head.number if head else 0])
    if reached > report.number:
        words = f"the chain went to number {reached} and ends at {report.number}"
        report.findings.append(Finding("cut_off", report.number + 1, None, words))
    elif head is None and report.number:
        report.findings.append(Finding("cut_off", report.number, None, "the head of the chain is gone"))
    elif head is not None and (head.number, head.hash) != (report.number, report.hash):
        words = f"the head says number {head.number}, and the chain ends otherwise at {report.number}"
        report.findings.append(Finding("changed", report.number, None, words))
