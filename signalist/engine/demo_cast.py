"""Who is in the demonstration: people with printed log-ins, a dozen workspaces, four strategies and who follows them. Safe to repeat."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import make_password

from signalist.accounts.models import Account
from signalist.accounts.paper_store import PaperStore
from signalist.domain.errors import DomainError
from signalist.domain.matching import drawn
from signalist.domain.money import nearest_to
from signalist.domain.orders import NAMESPACE
from signalist.domain.rules import Limits
from signalist.engine.publishing import published
from signalist.markets.models import Instrument
from signalist.strategies.models import Schedule
from signalist.trading.actions import subscribe
from signalist.trading.models import Subscription
from signalist.trading.terms import Terms
from signalist.venues.paper.venue import CAPABILITIES, PAPER
from tenants.models import Membership, Role, Tenant, User

PASSWORD = "watch it trade"  # noqa: S105  # printed for everybody to use; production refuses the demonstration
CURRENCY = "USD"
SEED = 5
COMPLETE = "demonstration_complete"


@dataclass(frozen=True, slots=True)
class LogIn:
    """A person of the demonstration who can log in, and what for."""

    email: str
    full_name: str
    workspace: str
    purpose: str
    is_staff: bool = False


DEMO = LogIn("demo@signalist.example", "Dana Moreno", "Demo workspace", "a trader who follows three strategies")
AUTHOR = LogIn("author@signalist.example", "Arno Weiss", "Weiss Research", "the author of the strategies")
STAFF = LogIn("staff@signalist.example", "Sam Okafor", "Operations", "staff, with the admin pages", is_staff=True)
LOG_INS = (DEMO, AUTHOR, STAFF)

OTHERS = (
    "Ashgrove",
    "Birchline",
    "Calder Row",
    "Dunmore",
    "Eastwick",
    "Fernhill",
    "Greywater",
    "Harrow Lane",
    "Inverlea",
    "Juniper Court",
    "Kestrel House",
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A strategy as its author offers it: `runs_on` are symbols with the timeframe whose closes it runs on."""

    slug: str
    name: str
    description: str
    parameters: Mapping[str, object]
    runs_on: Sequence[tuple[str, str]]


OFFERS = (
    Offer(
        "bollinger-reversion",
        "Band Reversion",
        "Buys when the price comes back into its band from below and sells when it comes back from above. Trades often, for small gains, "
        "and stays out while the market is running away in one direction. Expect many winners and now and then a loss several times "
        "their size: that is when a range breaks.",
        {"stop_atr": 5.0, "target_atr": 10.0},
        (("NOVA/USD", "10s"), ("LUMA/USD", "10s")),
    ),
    Offer(
        "rsi-mean-reversion",
        "Exhaustion Turn",
        "Waits until almost all recent moves went one way, and trades the turn once it has begun. Leaves when the balance is back in the "
        "middle. Few trades, short ones; a strong trend is its enemy, and the stop is there for it.",
        {"period": 24, "stop_atr": 5.0, "target_atr": 10.0},
        (("LUMA/USD", "10s"), ("TEMPO-100", "10s")),
    ),
    Offer(
        "donchian-breakout",
        "Range Breakout",
        "Goes with a market that closes outside the range of its last quarter of an hour, and stays as long as it keeps going. Loses a "
        "little more often than it wins; the winners are meant to be the larger ones.",
        {},
        (("NOVA/USD", "1m"), ("TEMPO-100", "1m"), ("AUR/USD", "1m")),
    ),
    Offer(
        "moving-average-crossover",
        "Two-Speed Trend",
        "Follows the trend that a quick average shows against a slow one, long and short, and turns round when they cross back. Simple, "
        "always in step with the larger move, and late at every turn.",
        {"fast": 5, "slow": 15, "stop_atr": 3.0, "target_atr": 8.0},
        (("LUMA/USD", "1m"), ("AUR/USD", "1m")),
    ),
)

# What the demo trader follows: strategy and symbol, with a share of the account's money and a risk for each trade.
DEMO_FOLLOWS = (
    ("bollinger-reversion", "NOVA/USD", "40000", "0.004"),
    ("donchian-breakout", "TEMPO-100", "30000", "0.006"),
    ("rsi-mean-reversion", "LUMA/USD", "30000", "0.004"),
)
DEMO_DEPOSIT = Decimal(100_000)


def log_ins() -> str:
    """What a newcomer needs to know to log in."""
    lines = [f"Log-ins of the demonstration, all with the password “{PASSWORD}”:"]
    return "\n".join([*lines, *(f"  {log_in.email:28} {log_in.purpose}" for log_in in LOG_INS)])


def is_complete() -> bool:
    """Whether everything has been set up, to the end."""
    demo = User.objects.filter(email=DEMO.email).first()
    return demo is not None and bool(demo.preferences.get(COMPLETE))


def complete() -> None:
    """Remember that everything has been set up."""
    demo = User.objects.get(email=DEMO.email)
    demo.preferences = {**demo.preferences, COMPLETE: True}
    demo.save(update_fields=["preferences"])


def people() -> dict[str, User]:
    """Everybody who can log in, by e-mail, each with a verified address and a workspace of their own."""
    known = {user.email: user for user in User.objects.filter(email__in=[log_in.email for log_in in LOG_INS])}
    # Hashing is slow on purpose, and everybody knows this password: once is enough.
    password, found = make_password(PASSWORD) if len(known) < len(LOG_INS) else "", {}
    for log_in in LOG_INS:
        user = known.get(log_in.email) or User.objects.create(
            email=log_in.email,
            password=password,
            full_name=log_in.full_name,
            is_staff=log_in.is_staff,
            is_superuser=log_in.is_staff,
        )
        EmailAddress.objects.get_or_create(user=user, email=log_in.email, defaults={"verified": True, "primary": True})
        _workspace(log_in.workspace, user)
        found[log_in.email] = user
    return found


def offered(instruments: Mapping[str, Instrument], author: User) -> list[Schedule]:
    """The schedules of all offers."""
    schedules = []
    for offer in OFFERS:
        version = published(offer.slug, offer.parameters, name=offer.name, description=offer.description, author=author)
        for symbol, code in offer.runs_on:
            schedule, _ = Schedule.objects.get_or_create(
                version=version, instrument=instruments[symbol], timeframe=code
            )
            schedules.append(schedule)
    return schedules


def followed(schedules: Sequence[Schedule], since: datetime) -> None:
    """Subscriptions of the demo trader and of the other workspaces, since the aware moment `since`."""
    by_name = {(s.version.strategy.slug, s.instrument.symbol): s for s in schedules}
    account = _account(_workspace(DEMO.workspace), DEMO_DEPOSIT)
    for slug, symbol, capital, risk in DEMO_FOLLOWS:
        terms = Terms(Decimal(capital), Decimal(risk), leverage=Decimal(5), limits=Limits(daily_entries=60))
        _subscribe(account, by_name[slug, symbol], terms, since)
    for number, name in enumerate(OTHERS):
        _other(number, name, schedules, since)


def demo_follows(schedule: Schedule, since: datetime) -> None:
    """Have the demo trader follow what runs on `schedule` too, where the account may: it is of one currency, and follows once."""
    terms = Terms(DEMO_DEPOSIT / 2, Decimal("0.005"), leverage=Decimal(5), limits=Limits(daily_entries=60))
    with contextlib.suppress(DomainError):
        _subscribe(_account(_workspace(DEMO.workspace), DEMO_DEPOSIT), schedule, terms, since)


def _other(number: int, name: str, schedules: Sequence[Schedule], since: datetime) -> None:
    """A workspace whose size, choice and limits are drawn from its number."""

    def between(what: str, low: str, high: str, step: str) -> Decimal:
        value = Decimal(low) + drawn(SEED, "demo", str(number), what) * (Decimal(high) - Decimal(low))
        return nearest_to(value, Decimal(step))

    email = f"{name.lower().replace(' ', '-')}@signalist.example"
    member = User.objects.filter(email=email).first() or User.objects.create_user(email, full_name=name)
    account = _account(_workspace(name, member), between("deposit", "8000", "240000", "1000"))
    wanted = 1 + number % 3
    for schedule in _chosen(number, schedules)[:wanted]:
        terms = Terms(
            capital=nearest_to((account.deposit or Decimal(0)) / wanted, Decimal(100)),
            risk_fraction=between("risk", "0.002", "0.01", "0.0005"),
            leverage=between("leverage", "1", "10", "1"),
            limits=Limits(
                open_positions=wanted,
                daily_entries=int(between("entries", "8", "60", "1")),
                daily_loss_fraction=between("loss", "0.02", "0.08", "0.005"),
                exposure_fraction=between("exposure", "0.5", "3", "0.1"),
            ),
        )
        _subscribe(account, schedule, terms, since)


def _chosen(number: int, schedules: Sequence[Schedule]) -> list[Schedule]:
    """Schedules in an order of this workspace's own, each strategy and each instrument once: the paper venue keeps one net position."""
    chosen: list[Schedule] = []
    for schedule in sorted(schedules, key=lambda s: drawn(SEED, "demo", str(number), str(s))):
        instruments = {other.instrument_id for other in chosen}
        strategies = {other.version.strategy_id for other in chosen}
        if schedule.instrument_id not in instruments and schedule.version.strategy_id not in strategies:
            chosen.append(schedule)
    return chosen


def _workspace(name: str, member: User | None = None) -> Tenant:
    tenant, _ = Tenant.objects.get_or_create(
        public_id=_key("workspace", name), defaults={"name": name, "base_currency": CURRENCY}
    )
    if member is not None:
        Membership.objects.get_or_create(tenant=tenant, user=member, defaults={"role": Role.ADMIN, "is_owner": True})
    return tenant


def _account(tenant: Tenant, deposit: Decimal) -> Account:
    """The workspace's paper account, opened at the venue."""
    key = _key("account", str(tenant.public_id))
    account, _ = Account.objects.get_or_create(
        venue=PAPER,
        venue_ref=str(key),
        defaults={"tenant": tenant, "public_id": key, "name": "Paper", "currency": CURRENCY, "deposit": deposit},
    )
    PaperStore().open_account(account.venue_ref, account.currency, deposit)
    return account


def _subscribe(account: Account, schedule: Schedule, terms: Terms, since: datetime) -> None:
    key = _key("subscription", str(account.public_id), schedule.version.strategy.slug, schedule.instrument.symbol)
    if not Subscription.objects.filter(public_id=key).exists():
        subscribe(account, schedule, schedule.instrument, terms, since, nets=CAPABILITIES.nets, public_id=key)


def _key(*names: str) -> uuid.UUID:
    return uuid.uuid5(NAMESPACE, ":".join(("demonstration", *names)))
