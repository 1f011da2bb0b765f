"""Which accounts an engine listens to: those that it holds, each under the lease with which it began to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from signalist.accounts.models import Account
from signalist.accounts.sessions import Sessions
from signalist.logs import logger
from signalist.venues.errors import VenueError

log = logger(__name__)


class AccountsHeard:
    """`heard` is called with an account's key whenever its venue says that there is news."""

    def __init__(self, sessions: Sessions, heard: Callable[[int], None]) -> None:
        self._sessions, self._heard = sessions, heard
        self.known: dict[int, Account] = {}

    async def leave_others(self, held: Mapping[int, int]) -> None:
        """Listen no more to accounts that are not among these, whose lease tokens are given: they are another engine's, or have been in
        between, and what their streams said is not all that happened."""
        for key, account in list(self.known.items()):
            if held.get(key) != account.lease_token:
                await self._sessions.leave(self.known.pop(key))

    def listen(self, account: Account) -> None:
        """Listen to an account, unless it is listened to already."""
        if account.pk in self.known:
            return
        self.known[account.pk] = account
        key = account.pk
        try:
            self._sessions.listen(account, lambda: self._heard(key))
        except Exception as error:  # noqa: BLE001 what is not served, or breaks, keeps nobody else from trading
            why = str(error) if isinstance(error, VenueError) else type(error).__name__
            log.warning("account_not_listened_to", account=key, venue=account.venue, error=why)

    def anew(self, account_ids: Iterable[int]) -> None:
        """Listen to these accounts anew the next time: what opens them has come or gone."""
        for key in account_ids:
            self.known.pop(key, None)
