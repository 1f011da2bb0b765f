"""Subscribing: what is previewed is what will be decided, what cannot be is said beside its field, and nothing happens before the yes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from signalist.accounts.models import Account, AccountState
from signalist.domain.protection import Plan, Rung
from signalist.domain.rules import Limits
from signalist.events.models import Event
from signalist.markets.models import Instrument, LatestPrice
from signalist.markets.selectors import forget_instruments
from signalist.trading.actions import cancel
from signalist.trading.models import AccountBalance, AccountDay, Execution, Following, Order, Subscription
from tests.cast import Cast
from tests.flows.scene import LONG, SHORT, entry
from tests.pages.acme import Acme, plain
from tests.pages.counting import asks
from tests.pages.following import acme_follows, filled_in

BUY = entry(LONG, "39600", "40800")
SUBSCRIBE = "/marketplace/crossover/subscribe/"
# The shell; what is kept; accounts and subscriptions, schedules and instruments; five checks; the last entry; then what deciding reads,
# differences too.
FORM = 26


@pytest.fixture
def acme(transactional_db: None, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[Acme]:
    with acme_follows(cast, monkeypatch) as world:
        yield world


@pytest.fixture
def desk(acme: Acme) -> Account:
    return acme.account("Desk")


def preview(acme: Acme, **form: str) -> str:
    """The words of the preview of a form, asked for as a form without a script."""
    answer = acme.post(SUBSCRIBE, acme.cast.theo, **form, preview="1")
    assert answer.status_code == 200
    return plain(answer.content.decode().partition('id="preview"')[2].partition("</aside>")[0])


def fact(said: str, name: str) -> str:
    """The amount that follows a label."""
    found = re.search(rf"{name} ([\d,.−+]+)", said)
    assert found, said
    return found[1]


def error(page: str, field: str) -> str:
    """What stands beside a field."""
    found = re.search(rf'id="id_{field}(?:_error)?">([^<]+)</(?:span|p)>', page)
    assert found, f"nothing beside {field}"
    return found[1].replace("&#x27;", "'")


def confirm(acme: Acme, **form: str) -> Any:
    return acme.post(SUBSCRIBE, acme.cast.theo, **form)


# --- The preview ---------------------------------------------------------------------------------


def test_what_is_previewed_on_the_last_signal_is_what_the_next_one_is_decided_to(acme: Acme, desk: Account) -> None:
    acme.scene.signal(BUY)
    acme.scene.minute()
    form = filled_in(desk, acme.scene.crossover)
    said = preview(acme, **form)
    assert "What the last signal would have done LONG BTC-PERP, 6 May 2024, 12:01:00 UTC Taken" in said
    assert confirm(acme, **form).status_code == 302
    acme.scene.minute()
    acme.scene.signal(BUY)
    made = Subscription.objects.get()
    execution = acme.scene.execution(made)
    assert fact(said, "Size") == f"{execution.quantity:.5f}" == "2.50000"
    assert Decimal(fact(said, "Margin at 10×").replace(",", "")) == Decimal(execution.numbers["margin"]) == 10_000
    assert Decimal(execution.numbers["loss_at_stop"]) == 1_000
    assert "Loss at the stop −1,000.00 USD 1.00% of the capital, and about 200.00 USD of fees on top" in said
    assert fact(said, "Position value") == "100,000.00"
    assert fact(said, "Loss at the stop, with fees") == "−1,200.00"
    assert fact(said, "Gain at the target, 40,800.0, with fees") == "+1,800.00"


def test_a_preview_writes_nothing_and_reserves_nothing(acme: Acme, desk: Account) -> None:
    acme.scene.signal(BUY)
    acme.scene.minute()
    before = Event.objects.count()
    Instrument.objects.update(taker_fee=Decimal("0.004"))
    forget_instruments()
    said = preview(acme, **filled_in(desk, acme.scene.crossover))
    assert "Taken" in said and "about 800.00 USD of fees on top" in said, "what the venue lists"
    for model in (Subscription, Execution, Order, AccountDay):
        assert not model.objects.exists()
    assert Event.objects.count() == before


def test_without_a_signal_yet_an_example_at_the_newest_price_is_shown_and_called_one(acme: Acme, desk: Account) -> None:
    said = preview(acme, **filled_in(desk, acme.scene.crossover))
    assert "What an entry would do LONG BTC-PERP, an example: there is no signal yet Taken" in said
    assert fact(said, "Entry at about") == "40,000.0"
    assert "Stop 39,600.0 · 400.0 away" in said
    assert fact(said, "Size") == "2.50000"


def test_a_short_is_previewed_as_one(acme: Acme, desk: Account) -> None:
    acme.scene.signal(entry(SHORT, "40400", "39200"))
    acme.scene.minute()
    said = preview(acme, **filled_in(desk, acme.scene.crossover))
    assert "SHORT BTC-PERP" in said
    assert "Loss at the stop −1,000.00 USD" in said
    assert fact(said, "Gain at the target, 39,200.0, with fees") == "+1,800.00"


def test_a_signal_that_its_followers_may_still_act_on_is_not_given_away(acme: Acme, desk: Account) -> None:
    acme.scene.signal(BUY)
    assert "there is no signal yet" in preview(acme, **filled_in(desk, acme.scene.crossover))


def test_what_binds_is_named_with_its_numbers(acme: Acme, desk: Account) -> None:
    said = preview(acme, **filled_in(desk, acme.scene.crossover, leverage="1", position_fraction="25"))
    assert "Resized" in said
    assert "Position size limit · subscription. 25.00% of equity leaves room for 0.62500 BTC of 2.50000 BTC." in said
    assert "Size 0.62500 BTC of 2.50000" in said
    assert "Position value, of equity limit reached 25.00% of 25.00% · subscription" in said


def test_what_would_be_denied_says_so_and_shows_no_size(acme: Acme, desk: Account) -> None:
    acme.scene.signal(entry(LONG, None, "40800"))
    acme.scene.minute()
    said = preview(acme, **filled_in(desk, acme.scene.crossover))
    assert "Denied No stop. The size follows from the risk to the stop, and the signal names none." in said
    assert "Size" not in said.partition("No stop.")[2].replace("The size", "")
    by_share = preview(acme, **filled_in(desk, acme.scene.crossover, sizing="share", share="50"))
    assert "Loss at the stop No stop The signal names none; nothing bounds the loss." in by_share
    assert fact(by_share, "Position value") == "50,000.00"


def test_limits_are_shown_as_they_would_stand_after_the_trade(acme: Acme, desk: Account) -> None:
    acme.scene.subscriber(account=desk, schedule=acme.scene.strategy("other", eth := other_market(acme)), leverage="5")
    acme.scene.signal(entry(LONG, "1980", "2040"), schedule=Subscription.objects.get(instrument=eth).schedule)
    acme.scene.minute()
    said = preview(
        acme,
        **filled_in(desk, acme.scene.crossover, open_positions="2", exposure_fraction="500", daily_loss_fraction="5"),
    )
    assert "Open positions, account limit reached 2 of 2 · subscription" in said
    assert re.search(r"Exposure, of equity 2\d\d\.\d\d% of 500\.00% · subscription", said)
    assert re.search(r"Loss today, if the stop fills 1,000\.00 of 5,000\.00 USD · subscription", said)
    assert re.search(r"Entries today, subscription 1 of 100 · platform", said)


def other_market(acme: Acme) -> Any:
    return acme.scene.instrument("ETH-PERP", "2000", pair="ETH/USD")


def test_on_another_instrument_of_the_pair_the_levels_travel_as_ratios(acme: Acme) -> None:
    twin = acme.scene.instrument("BTC-PERP-INR", "3000000", quote="INR", tick="5")
    rupees = acme.account("Rupees", currency="INR", deposit="7500000")
    acme.scene.signal(BUY)
    acme.scene.minute()
    form = filled_in(rupees, acme.scene.crossover, capital="7500000", market=f"{acme.scene.crossover.pk}-{twin.pk}")
    said = preview(acme, **form)
    assert "LONG BTC-PERP-INR" in said
    assert fact(said, "Entry at about") == "3,000,000"
    assert "Stop 2,970,000" in said
    assert "75,000.00 INR" in said
    assert confirm(acme, **form).status_code == 302
    assert Subscription.objects.get().instrument == twin


def test_a_script_gets_the_preview_alone_with_what_is_wrong(acme: Acme, desk: Account) -> None:
    client = acme._client(acme.cast.theo)
    form = filled_in(desk, acme.scene.crossover, risk="60", consent="")
    answer = client.post(SUBSCRIBE, form | {"preview": "1"}, headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert page.strip().startswith("{#") or page.strip().startswith('<div class="pile" id="preview"')
    assert "<form" not in page
    assert "Risk per trade: Enter 50 or less." in plain(page)


def test_without_a_price_or_a_balance_it_says_what_is_missing(acme: Acme, desk: Account) -> None:
    form = filled_in(desk, acme.scene.crossover)
    LatestPrice.objects.all().delete()
    assert "There is no price of BTC-PERP yet; the preview needs one." in preview(acme, **form)
    AccountBalance.objects.all().delete()
    assert "The venue has not reported this account’s money yet." in preview(acme, **form).replace("'", "’")
    acme.scene.books_agree = False


# --- The yes -------------------------------------------------------------------------------------


def test_the_yes_makes_the_subscription_that_was_typed(acme: Acme, desk: Account) -> None:
    answer = confirm(
        acme,
        **filled_in(
            desk,
            acme.scene.crossover,
            capital="12 500.50",
            risk="1.25 %",
            leverage="3",
            open_positions="2",
            daily_entries="30",
            daily_loss_amount="1,000",
            daily_loss_fraction="4.5",
            exposure_fraction="150",
            position_fraction="20",
        ),
    )
    made = Subscription.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/subscriptions/{made.public_id}/")
    assert (made.account, made.schedule, made.instrument) == (desk, acme.scene.crossover, acme.scene.btc)
    assert (made.capital, made.risk_fraction, made.notional_fraction, made.leverage) == (
        Decimal("12500.5"),
        Decimal("0.0125"),
        None,
        3,
    )
    assert made.limits() == Limits(2, 30, Decimal(1000), Decimal("0.045"), Decimal("1.5"), Decimal("0.2"))
    assert made.started_at == acme.scene.clock.now()
    told = Event.objects.get(kind="subscribed")
    assert (told.tenant_id, told.payload["by"]) == (acme.cast.acme.pk, str(acme.cast.theo.public_id))
    assert "You follow crossover now." in acme.text(answer.headers["Location"])


def test_a_protection_plan_is_typed_in_r_and_percents_and_stored_in_fractions(acme: Acme, desk: Account) -> None:
    typed = {"break_even": "1.5", "trail": "2 %", "target_ladder": "1R 50%, 2.5 25", "longest_minutes": "90"}
    assert confirm(acme, **filled_in(desk, acme.scene.crossover, **typed)).status_code == 302
    made = Subscription.objects.get()
    rungs = (Rung(Decimal(1), Decimal("0.5")), Rung(Decimal("2.5"), Decimal("0.25")))
    assert made.plan() == Plan(Decimal("1.5"), Decimal("0.02"), rungs, 90)
    page = acme.html(f"/subscriptions/{made.public_id}/terms/")
    assert all(f'value="{value}"' in page for value in ("1.5", "2", "1R 50%, 2.5R 25%", "90"))


def test_a_share_of_the_capital_sizes_instead_and_the_risk_is_forgotten(acme: Acme, desk: Account) -> None:
    confirm(acme, **filled_in(desk, acme.scene.crossover, sizing="share", share="20", risk="2"))
    made = Subscription.objects.get()
    assert (made.risk_fraction, made.notional_fraction) == (None, Decimal("0.2"))


def test_without_the_consent_nothing_is_made(acme: Acme, desk: Account) -> None:
    answer = confirm(acme, **filled_in(desk, acme.scene.crossover, consent=""))
    assert answer.status_code == 200
    assert error(answer.content.decode(), "consent") == "Confirm that you know what you can lose."
    assert not Subscription.objects.exists()


def test_the_page_begins_with_terms_that_can_be_confirmed_as_they_stand(acme: Acme, desk: Account) -> None:
    page = acme.html(SUBSCRIBE)
    assert 'role="alert"' not in page
    assert 'name="capital" value="10000"' in page
    assert f'value="{desk.public_id}" checked' in page
    assert "Taken" in plain(page)
    typed = dict(re.findall(r'name="(\w+)" value="([^"]+)"', page.partition("terms")[2]))
    wanted = {name: typed[name] for name in ("market", "capital", "risk", "leverage", "daily_loss_fraction")}
    form = wanted | {"account": str(desk.public_id), "sizing": "risk", "consent": "on"}
    assert confirm(acme, **form).status_code == 302


# --- What is refused -----------------------------------------------------------------------------


MEANINGLESS: list[tuple[dict[str, str], str, str]] = [
    ({"capital": ""}, "capital", "This field is required."),
    ({"capital": "0"}, "capital", "Enter a number above zero."),
    ({"capital": "a lot"}, "capital", "Enter a number."),
    ({"risk": "50.01"}, "risk", "Enter 50 or less."),
    ({"risk": "0,5"}, "risk", "Write it as 1,000.50: commas between thousands, a point before decimals."),
    ({"risk": "0.123456789"}, "risk", "Enter at most 8 decimals."),
    ({"risk": "-1"}, "risk", "Enter a number above zero."),
    ({"risk": ""}, "risk", "Enter how much of the capital one trade may lose at its stop."),
    ({"sizing": "share"}, "share", "Enter how much of the capital one trade is worth."),
    ({"sizing": "share", "share": "101"}, "share", "Enter 100 or less."),
    ({"leverage": "21"}, "leverage", "paper:BTC-PERP offers a leverage of 1 to 20, not 21."),
    ({"leverage": "0.5"}, "leverage", "paper:BTC-PERP offers a leverage of 1 to 20, not 0.5."),
    ({"open_positions": "51"}, "open_positions", "Ensure this value is less than or equal to 50."),
    ({"daily_entries": "0"}, "daily_entries", "Ensure this value is greater than or equal to 1."),
    ({"daily_loss_fraction": "51"}, "daily_loss_fraction", "Enter 50 or less."),
    ({"trail": "0.01"}, "trail", "Enter 0.05 to 50."),
    ({"target_ladder": "half"}, "target_ladder", "Write it as 1R 50%, 2R 25%: the gain in R, then the share."),
    (
        {"target_ladder": "1R 60%, 2R 50%"},
        "target_ladder",
        "Each share is above 0, and all of them together are at most the whole.",
    ),
    ({"longest_minutes": "0"}, "longest_minutes", "Ensure this value is greater than or equal to 1."),
    ({"account": "nobody's"}, "account", "This account cannot be chosen."),
]


def test_what_cannot_be_meant_is_said_beside_its_field_and_on_top(
    acme: Acme, desk: Account, subtests: pytest.Subtests
) -> None:
    for changes, field, sentence in MEANINGLESS:
        with subtests.test(sentence):
            answer = confirm(acme, **filled_in(desk, acme.scene.crossover, **changes))
            page = answer.content.decode()
            assert (answer.status_code, error(page, field)) == (200, sentence)
            top = page.partition('id="form-errors"')[2].partition("</div></div>")[0]
            assert f'href="#id_{field}"' in top
            assert not Subscription.objects.exists()


def test_a_second_subscription_of_a_netted_instrument_is_refused_beside_the_market(acme: Acme) -> None:
    taken = acme.follower("Desk", schedule=acme.scene.strategy("other", acme.scene.btc))
    form = filled_in(taken.account, acme.scene.crossover)
    wanted = "The venue keeps one net position in BTC-PERP; another subscription of this account trades it."
    assert error(confirm(acme, **form).content.decode(), "market") == wanted
    assert Subscription.objects.count() == 1
    cancel(taken, acme.scene.clock.now())
    assert confirm(acme, **form).status_code == 302


def test_an_account_that_follows_it_already_cannot_be_chosen(acme: Acme) -> None:
    made = acme.follower("Desk")
    page = acme.html(SUBSCRIBE)
    assert "Follows this strategy already." in page
    assert f'value="{made.account.public_id}" disabled' in page
    assert "No account can follow it now." in page
    answer = confirm(acme, **filled_in(made.account, acme.scene.crossover))
    assert error(answer.content.decode(), "account") == "This account cannot be chosen."


def test_an_account_that_is_halted_says_so_and_cannot_be_chosen(acme: Acme, desk: Account) -> None:
    Account.objects.update(state=AccountState.HALTED, state_reason="the books differ")
    assert "HALTED: the books differ. It takes nothing new until it is resumed." in acme.text(SUBSCRIBE)
    confirm(acme, **filled_in(desk, acme.scene.crossover))
    assert not Subscription.objects.exists()


def test_an_account_with_real_money_cannot_be_chosen_yet(acme: Acme, desk: Account) -> None:
    Account.objects.update(venue="kraken")
    assert "Real money is not traded here yet." in acme.text(SUBSCRIBE)
    confirm(acme, **filled_in(desk, acme.scene.crossover))
    assert not Subscription.objects.exists()
    # One that was connected at a server on this machine that speaks as Kraken does.
    Account.objects.update(is_play_money=True)
    assert "Real money is not traded here yet." not in acme.text(SUBSCRIBE)
    Instrument.objects.filter(pk=acme.scene.btc.pk).update(venue="kraken")
    confirm(acme, **filled_in(desk, acme.scene.crossover))
    assert Subscription.objects.get().account.is_paper
    assert Following.objects.get().is_paper, "nobody counts it as a follower with real money"
    acme.scene.books_agree = False


def test_a_market_in_another_currency_is_refused_beside_the_market(acme: Acme, desk: Account) -> None:
    twin = acme.scene.instrument("BTC-PERP-INR", "3000000", quote="INR")
    form = filled_in(desk, acme.scene.crossover, market=f"{acme.scene.crossover.pk}-{twin.pk}")
    assert error(confirm(acme, **form).content.decode(), "market") == (
        "paper:BTC-PERP-INR is paid in INR, the account holds USD."
    )


def test_another_workspace_s_account_cannot_be_chosen_or_seen(acme: Acme, desk: Account) -> None:
    own = acme.account("Gus own", tenant=acme.cast.globex)
    assert "Desk" not in acme.text(SUBSCRIBE, acme.cast.gus)
    acme.post(SUBSCRIBE, acme.cast.gus, **filled_in(desk, acme.scene.crossover))
    assert not Subscription.objects.exists()
    acme.post(SUBSCRIBE, acme.cast.gus, **filled_in(own, acme.scene.crossover))
    assert Subscription.objects.get().tenant == acme.cast.globex


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_may_not_trade_gets_nowhere(acme: Acme, desk: Account, method: str) -> None:
    form = filled_in(desk, acme.scene.crossover) if method == "post" else {}
    assert getattr(acme, method)(SUBSCRIBE, acme.cast.vera, **form).status_code == 403
    asked = getattr(acme, method)(SUBSCRIBE, None, **form)
    assert (asked.status_code, asked.headers["Location"]) == (302, f"/accounts/login/?next={SUBSCRIBE}")
    assert not Subscription.objects.exists()


def test_what_is_not_offered_has_no_form(acme: Acme, desk: Account) -> None:
    assert acme.get("/marketplace/nothing/subscribe/", acme.cast.theo).status_code == 404
    type(acme.scene.crossover).objects.update(is_active=False)
    page = acme.text(SUBSCRIBE)
    assert "takes no new subscriptions" in page
    confirm(acme, **filled_in(desk, acme.scene.crossover))
    assert not Subscription.objects.exists()


def test_a_workspace_without_an_account_is_told_so(acme: Acme) -> None:
    assert "This workspace has no trading account yet." in acme.text(SUBSCRIBE)


def test_the_form_costs_the_same_however_many_accounts_and_positions_there_are(acme: Acme, desk: Account) -> None:
    acme.html(SUBSCRIBE)
    with asks(FORM):
        acme.html(SUBSCRIBE)
    eth = other_market(acme)
    for name in ("Second", "Third"):
        acme.follower(name, schedule=acme.scene.strategy(f"of-{name}", eth), instrument=eth)
    acme.html(SUBSCRIBE)
    with asks(FORM):
        acme.html(SUBSCRIBE)


@pytest.mark.postgresql
def test_the_web_s_role_may_subscribe(acme: Acme, desk: Account) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE signalist_web")
        assert confirm(acme, **filled_in(desk, acme.scene.crossover)).status_code == 302
        cursor.execute("RESET ROLE")
    assert Subscription.objects.count() == 1
