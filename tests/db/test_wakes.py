"""Wakes: a stage that was rung is asked once, and only what was committed rings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import transaction

from signalist.db.wakes import Wakes, ring_on_commit, wakes


@pytest.fixture
def quiet() -> Iterator[Wakes]:
    wakes.clear()
    yield wakes
    wakes.clear()


def test_a_stage_that_was_rung_is_taken_once_however_often_it_was_rung() -> None:
    bell = Wakes()
    bell.ring("decide", "place")
    bell.ring("decide")
    assert bell.any()
    assert bell.take("decide")
    assert not bell.take("decide")
    assert bell.any()
    assert bell.take("place")
    assert not bell.any()


def test_what_was_rung_can_be_forgotten() -> None:
    bell = Wakes()
    bell.ring("decide")
    bell.clear()
    assert not bell.take("decide")


@pytest.mark.django_db(transaction=True)
def test_a_stage_is_rung_by_the_commit_and_not_before(quiet: Wakes) -> None:
    with transaction.atomic():
        ring_on_commit("decide", "place")
        assert not quiet.any()
    assert quiet.take("decide") and quiet.take("place")


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_rings_nobody(quiet: Wakes) -> None:
    with transaction.atomic():
        ring_on_commit("decide")
        transaction.set_rollback(True)
    assert not quiet.any()


def test_a_stage_that_waits_for_nothing_is_not_rung_for_what_is_new_to_nobody() -> None:
    bell = Wakes()
    bell.free("decide")
    assert bell.take("decide"), "nobody knows yet whether it waits"
    bell.left("decide", waits=False)
    bell.free("decide", "place")
    assert (bell.take("decide"), bell.take("place")) == (False, True)
    bell.left("decide", waits=True)
    bell.free("decide")
    assert bell.take("decide")
    bell.left("decide", waits=False)
    bell.clear()
    bell.free("decide")
    assert bell.take("decide"), "another engine knows nothing of this one's"
