"""What each role may do: one table, role × resource × action. What does not stand in it is refused (ACC-10, ACC-11).

Each line names a permission `resource.action`, who has it (A admin, T trader, N analyst, R readonly; O the owner alone), and what it
means in words.
"""

from __future__ import annotations

from dataclasses import dataclass

from tenants.models import Membership, Role

_TABLE = """
portfolio.view        A T N R   See positions, orders, trades, decisions and books
strategies.view       A T N R   See the marketplace and the workspace's subscriptions
orders.give           A T       Give, change and cancel orders, close positions
subscriptions.change  A T       Subscribe, change terms, pause and cancel
differences.answer    A T       Answer where the books and the venue differ
trading.stop          A T       Stop trading, and resume it
accounts.open         A T       Open paper accounts
accounts.connect      A         Connect and disconnect accounts of real money
credentials.view      A T       See which credentials there are, never what they hold
credentials.change    A         Store, rotate and revoke credentials
keys.manage           A T       Make and revoke API keys
keys.oversee          A         See and revoke every member's API keys
strategies.publish    A T N     Write strategies and publish versions
backtests.run         A T N     Run backtests and optimisations
reports.export        A T N     Export records and reports
members.view          A T N R   See who is in the workspace
members.invite        A         Invite people, and withdraw invitations
members.change        A         Change roles, remove members, share single accounts
audit.view            A         Read and export the audit log
workspace.change      A         Change the workspace's name and currency
workspace.transfer    O         Hand the workspace over to another administrator
"""
_LETTERS = {"A": Role.ADMIN, "T": Role.TRADER, "N": Role.ANALYST, "R": Role.READONLY}


@dataclass(frozen=True, slots=True)
class Permission:
    """One line of the table."""

    name: str
    words: str
    roles: frozenset[str]
    owner_only: bool

    @property
    def resource(self) -> str:
        return self.name.partition(".")[0]

    @property
    def holders(self) -> tuple[bool, ...]:
        """Whether each role has it, in the order of `Role`."""
        return tuple(role.value in self.roles for role in Role)


def _read(line: str) -> Permission:
    name, rest = line.split(maxsplit=1)
    letters, _, words = rest.partition("  ")
    held = letters.split()
    return Permission(
        name, words.strip(), frozenset(_LETTERS[letter].value for letter in held if letter != "O"), "O" in held
    )


PERMISSIONS = {found.name: found for found in map(_read, _TABLE.strip().splitlines())}


def permits(membership: Membership, permission: str) -> bool:
    """Whether the member may do that. A permission that is not in the table is nobody's."""
    found = PERMISSIONS.get(permission)
    if found is None or not membership.is_active:
        return False
    return membership.is_owner if found.owner_only else membership.role in found.roles
