"""One account at Kraken as this process knows it: what its private stream says, beside what the venue itself is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from signalist.clock import monotonic
from signalist.venues.base import OrderReport
from signalist.venues.errors import SessionLost
from signalist.venues.kraken.client import Client, Signer
from signalist.venues.kraken.parse import instant, read
from signalist.venues.kraken.reading import Reader
from signalist.venues.kraken.streams import request
from signalist.venues.kraken.trading_socket import TradingSocket
from signalist.venues.transport.sockets import KeptUp, Link, LinkTerms

RESTED = 30.0
"""Seconds after which a stream that was given up may be begun anew."""
NO_TERMS = LinkTerms()


class Desk(Reader):
    """See the module. `url` is where the private stream is."""

    def __init__(self, client: Client, signer: Signer, currency: str, url: str, terms: LinkTerms = NO_TERMS) -> None:
        super().__init__(client, signer, currency)
        self.placing: set[str] = set()
        """Our ids that are on their way."""
        self.state, self.why = Link.CLOSED, ""
        self._kept = KeptUp(url, self, terms, who=signer.key, admit=client.may_connect, barred=client.barred)
        self.trading = TradingSocket(client, signer, self._kept.post, self._number)
        """The way of orders over the stream."""
        self._wakes: list[Callable[[], None]] = []
        self._returns: list[Callable[[], None]] = []
        self._numbers = 0
        self._answers: dict[int, float] = {}
        self._sequence: int | None = None
        self._broken = False
        self._failed_at = 0.0
        self._terms = terms

    def told(self, client_order_id: str) -> OrderReport | None:
        """An order as the stream tells it; None where it has told nothing, or may have missed something."""
        known = self.tape.order(client_order_id)
        return known.report if known is not None and self._is_trusted() else None

    async def shows(self, client_order_id: str, is_so: Callable[[OrderReport], bool]) -> OrderReport | None:
        """The order as soon as the stream shows it so, which costs no question; None where it does not within a moment."""

        def look() -> OrderReport | None:
            known = self.tape.order(client_order_id)
            return known.report if known is not None and is_so(known.report) else None

        return await self.trading.shows(look) if self._joined else None

    def _join_again(self) -> None:
        """The venue answers: a stream that was given up while it did not is begun anew, where anybody listens."""
        if self.state is Link.FAILED and self._wakes and monotonic() > self._failed_at + RESTED * self._terms.pace:
            self._kept.start()

    # --- The stream ------------------------------------------------------------------------------

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever the stream says something, or may have missed something."""
        self._wakes.append(wake)
        self._kept.start()

    def returns(self, say: Callable[[], None]) -> None:
        """Have `say` called whenever the stream is joined again after it was lost."""
        self._returns.append(say)

    async def leave(self, wakes: list[Callable[[], None]]) -> None:
        """Call these no more; with the last of them the stream ends."""
        for wake in wakes:
            self._wakes.remove(wake)
        if wakes and not self._wakes:
            self._returns.clear()
            await self._kept.close()

    async def close(self) -> None:
        """End the stream, whoever listens."""
        self._wakes.clear()
        self._returns.clear()
        await self._kept.close()

    async def opened(self, send: Callable[[str], Awaitable[None]]) -> None:
        """The stream is up: subscribe with a fresh token."""
        token = str((await self.ask("GetWebSocketsToken", self._terms.answer_within))["token"])
        self.trading.opening(token)
        for channel in ({"channel": "executions", "snap_orders": True, "snap_trades": False}, {"channel": "balances"}):
            number = self._number()
            self._answers[number] = monotonic() + self._terms.answer_within
            await send(request("subscribe", number, channel | {"token": token}))

    def heard(self, text: str) -> None:
        """A message. Raises SessionLost where numbers are missing, or an answer."""
        said = read(text)
        if "method" in said:
            self._answered(said)
        elif said["channel"] == "executions":
            self._executions(said)
        elif said["channel"] == "balances" and said["type"] == "update":
            self._money = None
            self._wake()
        if any(monotonic() > due for due in self._answers.values()):
            raise SessionLost("The stream did not answer a subscription in time.")
        self.trading.heard()

    def _answered(self, said: Any) -> None:
        if self.trading.answered(said):
            return
        self._answers.pop(int(said.get("req_id") or 0), None)
        if said["method"] == "subscribe" and not said.get("success", True):
            raise SessionLost(f"The stream was not joined: {said.get('error')}")
        if said["method"] == "subscribe":
            self.client.told_tier(self.signer, (said.get("result") or {}).get("maxratecount"))

    def _executions(self, said: Any) -> None:
        number = int(said["sequence"])
        gap = self._sequence is not None and number > self._sequence + 1
        again = self._sequence is not None and number <= self._sequence
        self._sequence = number if self._sequence is None else max(self._sequence, number)
        if gap and self._joined:
            self._broken, self._joined, self._whole = True, False, False
            self.trading.leave("The stream has left something out.")
        if again or (said["type"] == "update" and not self._joined):
            return  # what comes behind a gap is told in its order by whoever is asked then
        if not self.tape.tell_executions(said["data"]):
            self._whole = False
        elif self._is_trusted() and said["data"]:
            self.tape.is_whole(None, instant(str(said["data"][-1]["timestamp"])))
        if said["type"] == "snapshot":
            self._join()
        self._money, self._awaited_until = None, None
        self.trading.told()
        self._wake()

    def _join(self) -> None:
        self._joined = True
        self.trading.joined()
        self._joins += 1
        if self._broken:
            self._broken = False
            for say in self._returns:
                say()

    def lost(self) -> None:
        """The stream has ended: nothing is known until it is joined again and the venue has been asked."""
        self._broken = self._broken or self._joined
        self._joined = self._whole = False
        self._sequence, self._money = None, None
        self._answers.clear()
        self.trading.lost()
        self._wake()

    def ping(self) -> str:
        """What a silent venue is sent."""
        return request("ping", self._number())

    def _number(self) -> int:
        """Another request's."""
        self._numbers += 1
        return self._numbers

    def link(self, link: Link, why: str) -> None:
        """The connection's life has taken a turn."""
        self.state, self.why = link, why
        if link is Link.FAILED:
            self._failed_at = monotonic()
            self._wake()

    def _wake(self) -> None:
        for wake in list(self._wakes):
            wake()
