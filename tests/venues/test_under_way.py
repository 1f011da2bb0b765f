"""Questions to venues that nobody waits for: what was answered is dealt with once, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from signalist.venues.transport.under_way import UnderWay


async def _says(word: str) -> str:
    return word


async def _breaks() -> str:
    raise LookupError("broken")


def _asked(**questions: Coroutine[Any, Any, str]) -> UnderWay[str, str]:
    async def ask() -> UnderWay[str, str]:
        under_way: UnderWay[str, str] = UnderWay(lambda: None)
        for key, question in questions.items():
            under_way.ask(key, question)
        await asyncio.sleep(0.01)
        return under_way

    return asyncio.run(ask())


def test_each_answer_is_collected_once_in_the_order_in_which_they_came() -> None:
    under_way = _asked(a=_says("one"), b=_says("two"))
    with under_way.collected() as answers:
        assert answers == [("a", "one"), ("b", "two")]
    with under_way.collected() as answers:
        assert answers == []


def test_what_could_not_be_written_is_there_to_be_collected_again() -> None:
    under_way = _asked(a=_says("one"), b=_says("two"))
    with pytest.raises(OSError, match="no database"), under_way.collected():
        raise OSError("no database")
    assert under_way.has_answers
    with under_way.collected() as answers:
        assert answers == [("a", "one"), ("b", "two")]


def test_what_is_being_written_is_in_hand_until_it_is_written() -> None:
    under_way = _asked(a=_says("one"))
    with under_way.collected():
        assert under_way.in_hand() == ["a"]
    assert under_way.in_hand() == []


def test_a_question_that_breaks_takes_no_answer_with_it() -> None:
    under_way = _asked(a=_says("one"), b=_breaks(), c=_says("three"))
    with pytest.raises(LookupError, match="broken"), under_way.collected():
        pass
    with under_way.collected() as answers:
        assert answers == [("a", "one"), ("c", "three")]
