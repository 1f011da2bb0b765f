"""What each role may do: one table, role × resource × action. What does not stand in it is refused (ACC-10, ACC-11).

Each line names a permission `resource.action`, who has it (A admin, T trader, N analyst, R readonly; O the owner alone; S whoever somebody
has shared a single thing with), and what it means in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Model

from tenants.grants import granted, is_granted
from tenants.models import Membership, Role

_TABLE = """
portfolio.view        A T N R   See positions, orders, trades, decisions and books
strategies.view       A T N R   See the marketplace and the workspace's subscriptions
orders.give           A T   S   Give, change and cancel orders, close positions
subscriptions.change  A T   S   Subscribe, change terms, pause and cancel
differences.answer    A T   S   Answer where the books and the venue differ
trading.stop          A T   S   Stop trading, and resume it
accounts.open         A T       Open paper accounts
accounts.connect      A         Connect and disconnect accounts of real money
credentials.view      A T       See which credentials there are, never what they hold
credentials.change    A         Store, rotate and revoke credentials
keys.manage           A T       Make and revoke API keys
keys.oversee          A         See and revoke every member's API keys
strategies.publish    A T N     Write strategies and publish versions
strategies.read       S         See the source of a strategy that is somebody else's
strategies.write      S         Write versions of a strategy that is somebody else's
backtests.run         A T N     Run backtests and optimisations
reports.export        A T N     Export records and reports
members.view          A T N R   See who is in the workspace
members.invite        A         Invite people, and withdraw invitations
members.change        A         Change roles, remove members, share single accounts
audit.view            A         Read and export the audit log
workspace.change      A         Change the workspace's name and currency
workspace.transfer    O         Hand the workspace over to another administrator
"""
_WIDTH = len("A T N R   ")
_LETTERS = {"A": Role.ADMIN, "T": Role.TRADER, "N": Role.ANALYST, "R": Role.READONLY}


@dataclass(frozen=True, slots=True)
class Permission:
    """One line of the table."""

    name: str
    words: str
    roles: frozenset[str]
    owner_only: bool
    shared: bool

    @property
    def resource(self) -> str:
        return self.name.partition(".")[0]

    @property
    def holders(self) -> tuple[bool, ...]:
        """Whether each role has it, in the order of `Role`."""
        return tuple(role.value in self.roles for role in Role)


def _read(line: str) -> Permission:
    name, rest = line.split(maxsplit=1)
    letters, words = rest[:_WIDTH], rest[_WIDTH:]
    held = letters.split()
    roles = frozenset(_LETTERS[letter].value for letter in held if letter not in "OS")
    return Permission(name, words.strip(), roles, "O" in held, "S" in held)


PERMISSIONS = {found.name: found for found in map(_read, _TABLE.strip().splitlines())}


def permits(membership: Membership, permission: str, thing: Model | None = None) -> bool:
    """Whether the member may do that, by their role or, with this one `thing`, because somebody has shared it with them.

    A permission that is not in the table is nobody's.
    """
    found = PERMISSIONS.get(permission)
    if found is None or not membership.is_active:
        return False
    if membership.is_owner if found.owner_only else membership.role in found.roles:
        return True
    return thing is not None and is_granted(membership, permission, thing)


def within(membership: Membership, permission: str, rows: Any) -> Any:
    """Of these rows (a query set) those with which the member may do that: all of them by role, else what was shared with them."""
    if permits(membership, permission):
        return rows
    found = granted(membership, permission, rows)
    return rows.none() if found is None else found


def permits_some(membership: Membership, permission: str, rows: Any) -> bool:
    """Whether there is any of these rows with which the member may do that; whoever may by role may, be there one or not."""
    return permits(membership, permission) or bool(within(membership, permission, rows).exists())
