"""Finding a strategy among those that are offered: words, market, timeframe, risk, order. Pure: it works on what is kept already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from signalist.marketplace.records import Record, RiskClass
from signalist.marketplace.selectors import Offer

SORTS: Mapping[str, str] = {
    "followers": "Followers",
    "return": "Return",
    "drawdown": "Worst drawdown",
    "wins": "Win rate",
    "trades": "Trades",
    "slippage": "Slippage",
    "newest": "Newest",
    "name": "Name",
}
"""What the list can be ordered by, the first where nothing is asked for."""

_BY_RECORD: Mapping[str, Callable[[Record], Any]] = {
    "return": lambda record: -record.returned,
    "drawdown": lambda record: -record.worst,
    "wins": lambda record: -record.win_rate,
    "trades": lambda record: -record.trades,
    "slippage": lambda record: record.slippage,
}


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody looks for; empty words let everything through."""

    words: str = ""
    market: str = ""
    timeframe: str = ""
    risk: str = ""
    sort: str = "followers"

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Search:
        """As the address asks; an order that there is not is the first one."""
        sort = query.get("sort", "")
        return cls(
            query.get("q", "").strip()[:80],
            query.get("market", ""),
            query.get("timeframe", ""),
            query.get("risk", ""),
            sort if sort in SORTS else next(iter(SORTS)),
        )


def found(offers: Sequence[Offer], search: Search) -> list[Offer]:
    """What fits, in the order that is asked for. By a figure of the record, a live one comes before one on paper and none comes last."""
    fitting = [offer for offer in offers if _fits(offer, search)]
    by_record = _BY_RECORD.get(search.sort)
    if by_record is None:
        return sorted(fitting, key=_BY_OFFER[search.sort])

    def key(offer: Offer) -> tuple[int, Any]:
        record = offer.records.chief
        return (2, 0) if record is None else (int(record.is_paper), by_record(record))

    return sorted(fitting, key=key)


_BY_OFFER: Mapping[str, Callable[[Offer], Any]] = {
    "followers": lambda offer: (-offer.followers, -offer.on_paper, offer.name.lower()),
    "newest": lambda offer: -offer.listed_at.timestamp(),
    "name": lambda offer: offer.name.lower(),
}


def _fits(offer: Offer, search: Search) -> bool:
    said = " ".join((offer.name, offer.author, offer.description, *offer.symbols)).lower()
    return (
        all(word in said for word in search.words.lower().split())
        and (not search.market or search.market in offer.symbols)
        and (not search.timeframe or search.timeframe in offer.timeframes)
        and (not search.risk or search.risk == (offer.risk.value if offer.risk else ""))
    )


def choices(offers: Sequence[Offer]) -> dict[str, list[str]]:
    """What can be chosen: the markets and timeframes that are traded, and the risk classes."""
    markets = sorted({symbol for offer in offers for symbol in offer.symbols})
    frames = sorted({frame for offer in offers for frame in offer.timeframes}, key=_length)
    return {"markets": markets, "timeframes": frames, "risks": [risk.value for risk in RiskClass]}


def _length(frame: str) -> tuple[int, int]:
    return "smhd".find(frame[-1:]), int(frame[:-1] or 0)
