"""Every address of the site: how it is asked, who may, and about which thing of a workspace it is. An address without a line fails.

`public` is for everybody, `log-in` for whoever has logged in, `member` for every member of a workspace, `staff` for staff with its powers,
`key` for programs with a key; `only-…` is for the one person whose thing it is, and for the role after a plus; anything else is a
permission of `tenants.permissions`.
Where a thing stands, nobody outside its workspace may reach it; a colon says that it is nobody's in particular.
"""

from __future__ import annotations

from dataclasses import dataclass

_LINES = """
landing                GET       public
health                 GET       public
theme                  POST      public
marketplace            GET       public
strategy               GET       public              : slug
dashboard              GET       member
positions              GET       member
orders                 GET       member
trades                 GET       member
decisions              GET       member
books                  GET       member
commands               GET       member
quality                GET       member
instruments            GET       member
instrument             GET       member              : instrument
candles_csv            GET       member              : instrument
depth                  GET,POST  member              : instrument
feeds                  GET       member
subscriptions          GET       member
subscription           GET       member              subscription
subscription_pause     POST      subscriptions.change subscription
subscription_resume    POST      subscriptions.change subscription
subscription_cancel    POST      subscriptions.change subscription
subscription_terms     GET,POST  subscriptions.change subscription
newer_version          GET,POST  subscriptions.change subscription
subscribe              GET,POST  subscriptions.change : slug
position               GET       member              position
position_close         POST      orders.give         position
position_level         GET,POST  orders.give         level
order                  GET       member              order
order_cancel           POST      orders.give         order
order_modify           GET,POST  orders.give         order
ticket                 GET,POST  orders.give
account_books          GET       member              account
difference             GET       member              difference
difference_answer      POST      differences.answer  difference
signal                 GET       member              signal
authoring              GET       strategies.publish
create_strategy        GET,POST  strategies.publish
own_strategy           GET       only-ADMIN          slug
write_version          GET,POST  only-ADMIN          slug
version                GET       only-ADMIN          version
change_version         POST      only-ADMIN          change
authored_signal        GET       only-ADMIN          signal
close_many             GET       orders.give
close_account          GET,POST  orders.give         account
close_subscription     GET,POST  orders.give         subscription
command                GET       member              command
stop                   GET       member
stop_set               POST      trading.stop         switch
connections            GET       credentials.view
account_health         GET       credentials.view
account_answer         GET       credentials.view    account
account_ask            POST      credentials.view    account
connection_new         GET,POST  credentials.change  : venue
connection             GET       credentials.view    credential
connection_rename      POST      credentials.change  credential
connection_replace     POST      credentials.change  credential
connection_revoke      POST      credentials.change  credential
profile                GET,POST  member
security               GET       member
end_session            POST      member
confirm_by_provider    GET       log-in
workspace_missing      GET,POST  log-in
members                GET       members.view
permissions            GET       member
invite                 POST      members.invite
withdraw_invitation    POST      members.invite      invitation
set_role               POST      members.change      membership
hand_over              POST      workspace.transfer  membership
remove_member          POST      members.change      membership
decide_role            POST      members.change      role_change
share                  POST      members.change      shared
unshare                POST      members.change      grant
audit                  GET       member
audit_export           GET       member
log_ins                GET       member
incident_confirm       GET,POST  public              : stale
api_keys               GET       member
api_keys               POST      keys.manage
api_key_rotate         POST      only-TRADER         key
api_key_revoke         POST      only-TRADER+ADMIN   key
api_me                 GET       key
api_accounts           GET       key
api_account            GET       key                 account
api_candles            GET       key                 : instrument
api_indicators         GET       key
api_instruments        GET       key
api_orders             GET       key
api_order              GET       key                 order
api_prices             GET       key
api_positions          GET       key
api_position           GET       key                 position
api_signals            GET       key
api_subscriptions      GET       key
api_subscription       GET       key                 subscription
api_trades             GET       key
my_data                GET       member
my_files               GET       member
my_data_export         POST      member
download               GET       only-TRADER         file
my_data_delete         POST      member
staff                  GET       staff
staff_person           GET       staff               : person
staff_set_state        POST      staff               : person
staff_look             POST      staff               : person
staff_look_away        POST      staff
staff_powers           GET,POST  staff
staff_powers_end       POST      staff
invitation             GET,POST  public              : token
switch_workspace       POST      member
leave_workspace        POST      member
"""

# What allauth answers for whoever asks, about themselves alone: it knows no workspaces. Their keys are tried apart.
ABOUT_ONESELF = "allauth."


@dataclass(frozen=True, slots=True)
class Line:
    """An address by its name. `thing` is what it is about; `private` says that only its workspace may know of it."""

    name: str
    methods: tuple[str, ...]
    who: str
    thing: str
    private: bool


def _read(line: str) -> Line:
    name, methods, who, *rest = line.split()
    return Line(name, tuple(methods.split(",")), who, rest[-1] if rest else "", bool(rest) and rest[0] != ":")


FORMS = {"newer_version": {"number": "1", "answer": "stay"}}
"""What is sent where an empty form is about nothing."""

LINES = [_read(line) for line in _LINES.strip().splitlines()]
