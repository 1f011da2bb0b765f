"""Decisions in words: every rule has a title and a sentence, with the numbers that were decided on."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import signalist.domain.rules
import signalist.execution.actions
import signalist.execution.decide
import signalist.execution.hindrances
from signalist.trading.decision_words import Facts, reason
from signalist.trading.labels import Market

BTC = Market(1, "BTC-PERP", "BTC", "USD", Decimal("0.1"), Decimal("0.00001"))
CAPPED = {"asked": "2.5", "quantity": "1.2", "available": "400.5", "limit": "0.85", "layer": "subscription"}


@pytest.mark.parametrize(
    ("rule", "numbers", "title", "text"),
    [
        (
            "exposure",
            CAPPED,
            "Exposure limit · subscription",
            "85.00% of equity leaves room for 1.20000 BTC of 2.50000 BTC.",
        ),
        (
            "balance",
            CAPPED | {"layer": "account", "minimum": "quantity 0 is under the minimum 0.001 BTC"},
            "Free balance · account",
            "400.50 USD free pays, with its fee, for 1.20000 BTC of 2.50000 BTC. Quantity 0 is under the minimum 0.001 BTC.",
        ),
        (
            "daily_loss",
            {"result_today": "-46.2", "limit": "50", "kind": "daily_loss_fraction", "layer": "account"},
            "Daily loss limit · account",
            "Used 4.62% of 5.00%: 46.20 of 50.00 USD.",
        ),
        (
            "daily_loss",
            {"result_today": "-46.2", "limit": "50", "kind": "daily_loss_amount", "layer": "subscription"},
            "Daily loss limit · subscription",
            "Lost 46.20 of the 50.00 USD that a day may cost.",
        ),
        (
            "open_positions",
            {"current": 3, "limit": "3", "layer": "platform"},
            "Open positions · platform",
            "3 of 3 are open or on their way.",
        ),
        (
            "leverage",
            {"leverage": "20", "limit": "5", "layer": "venue"},
            "Leverage · venue",
            "20× was asked for; BTC-PERP is lent at most 5×.",
        ),
        (
            "stop_side",
            {"price": "40000", "stop": "40100", "target": "40800", "problem": "x"},
            "Stop on the wrong side",
            "The stop 40,100.0 of a long must lie below the price 40,000.0.",
        ),
        (
            "stop_side",
            {"price": "40000", "stop": "39600", "target": "39900", "problem": "x"},
            "Target on the wrong side",
            "The target 39,900.0 of a long must lie above the price 40,000.0.",
        ),
        (
            "basis",
            {"basis": "-0.0142", "limit": "0.01", "reference": "40000", "price": "39432"},
            "Markets too far apart",
            "The traded market stands −1.42% from the signal's; 1.00% is allowed.",
        ),
        (
            "basis",
            {"problem": "no fresh price of the traded instrument", "at": "2026-11-20 14:32:07+00:00"},
            "No price to go by",
            "No fresh price of the traded instrument. The last one is of 2026-11-20 14:32:07 UTC.",
        ),
        (
            "faulty",
            {"problem": "the ladder's shares sum to 1.2"},
            "Terms that cannot be",
            "The ladder's shares sum to 1.2.",
        ),
        ("late", {"seconds_past_deadline": "3.217"}, "Too late", "Decided 3.2 s after the entry's deadline."),
        ("account_halted", {"reason": "books differ"}, "Account HALTED", "Nothing but cancels: books differ."),
        ("account_reducing", {"reason": ""}, "Account REDUCING", "Exits only."),
        (
            "kill_switch",
            {"layer": "platform", "state": "HALTED", "reason": "venue breach", "by": "root"},
            "Kill switch · platform",
            "HALTED. Nothing but cancels and protection: venue breach, by root.",
        ),
        (
            "kill_switch",
            {"layer": "strategy", "state": "REDUCING", "reason": "new version", "by": ""},
            "Kill switch · strategy",
            "REDUCING. Exits only: new version.",
        ),
        ("a_rule_of_tomorrow", {"limit": "5", "layer": None}, "A rule of tomorrow", "Limit 5."),
    ],
)
def test_a_rule_is_told_in_a_sentence_with_its_numbers(
    rule: str, numbers: dict[str, Any], title: str, text: str
) -> None:
    told = reason(Facts("DENIED", rule, "LONG", numbers, BTC, day_equity=Decimal(1000)))
    assert (told.title, told.text) == (title, text)


def rules_in_the_code() -> set[str]:
    """Every rule that the code names, where it decides and where it takes back."""
    stages = (signalist.execution.decide, signalist.execution.hindrances, signalist.execution.actions)
    modules = (signalist.domain.rules, *stages)
    source = "".join(Path(module.__file__ or "").read_text() for module in modules)
    named = re.findall(r'(?:Denied\(\s*|Denied\(rule if bound else |SKIPPED, |DENIED, |rule=)"(\w+[a-z])"', source)
    capped = re.findall(r'caps(?: = \{|\[)"(\w+)"', source)
    counted = re.findall(r'\("(open_positions|daily_entries)"', source)
    states = {
        "kill_switch",
        "paused",
        "ended",
    }  # named after what the account or subscription is
    return {*named, *capped, *counted, *states, "opposite_open"}


@pytest.mark.parametrize("rule", sorted(rules_in_the_code()))
def test_no_rule_of_the_code_is_left_without_words(rule: str) -> None:
    told = reason(Facts("DENIED", rule, "LONG", {}, BTC))
    by_name_alone = rule.replace("_", " ").capitalize()
    unknown = reason(Facts("DENIED", f"{rule}_of_tomorrow", "LONG", {}, BTC))
    assert unknown.text == "", "a rule without words has no sentence"
    assert told.text or told.title != by_name_alone


def test_the_code_is_searched_where_rules_are() -> None:
    assert {"balance", "exposure", "daily_loss", "late", "paused", "no_position", "minimum_size"} <= rules_in_the_code()
