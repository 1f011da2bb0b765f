"""Whatever bytes a child claims to have declared, the parent reads a value or refuses: it never raises anything else."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalist.domain.errors import DomainError
from signalist.domain.strategies import ParameterSpec
from signalist.sandbox import Failed, FailureKind
from signalist.sandbox.child import _reported, readable
from signalist.sandbox.frames import NUMBER_COLUMNS, SAID
from signalist.sandbox.replies import arrays, history, specs

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
declarations = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["fast", "two words", ""]) | anything,
            "type": st.sampled_from(["int", "float", "bool", "str"]) | anything,
            "default": scalars | st.just(10**400),
            "minimum": scalars | st.just(10**400),
            "maximum": scalars,
            "help": st.text(max_size=5) | anything,
            "choices": st.lists(st.text(max_size=3), max_size=2) | anything,
        }
    ),
    max_size=2,
)


def _bytes(value: Any) -> bytearray:
    return bytearray(json.dumps(value).encode())


@given(body=st.one_of(st.binary().map(bytearray), anything.map(_bytes), declarations.map(_bytes)))
@settings(max_examples=100, deadline=None)
def test_declarations_are_specs_or_refused(body: bytearray) -> None:
    try:
        found = specs(body)
    except DomainError:
        return
    assert all(isinstance(spec, ParameterSpec) for spec in found)
    assert all(spec.help.isprintable() for spec in found)


@given(body=st.one_of(st.binary().map(bytearray), anything.map(_bytes)))
@settings(max_examples=50, deadline=None)
def test_a_history_is_a_number_or_refused(body: bytearray) -> None:
    with pytest.raises(DomainError):
        history(body)


reports = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*FailureKind]) | anything,
        "message": st.text() | anything,
        "line": st.integers() | anything,
    }
)


@given(body=st.one_of(st.binary().map(bytearray), anything.map(_bytes), reports.map(_bytes)))
@settings(max_examples=100, deadline=None)
def test_a_reported_failure_is_always_a_readable_failure(body: bytearray) -> None:
    failed = _reported(body)
    assert isinstance(failed, Failed)
    assert failed.message.isprintable()
    assert failed.kind not in (
        FailureKind.DIED,
        FailureKind.TIMED_OUT,
        FailureKind.TOO_MUCH_OUTPUT,
        FailureKind.PARAMETERS,
    )


@pytest.mark.parametrize("deep", [b"[" * 60_000, b'{"kind":' * 8_000])
def test_a_reply_nested_without_end_is_refused(deep: bytes) -> None:
    assert _reported(bytearray(deep)).kind is FailureKind.BAD_OUTPUT
    with pytest.raises(DomainError):
        specs(bytearray(deep))


def test_arrays_are_as_long_as_the_columns_that_they_name() -> None:
    one_stop_and_one_flag = SAID.pack(1 | 1 << len(NUMBER_COLUMNS)) + struct.pack("<2d", 7.0, 8.0) + b"\x01\x00"
    said = arrays(memoryview(one_stop_and_one_flag), 2)
    assert (said.stop_long.tolist(), said.enter_long.tolist()) == ([7.0, 8.0], [True, False])
    assert np.isnan(said.target_long).all()
    assert not said.exit_long.any()
    nothing = arrays(memoryview(SAID.pack(0)), 2)
    assert len(nothing) == 2
    assert not nothing.enter_long.any()
    for wrong in (one_stop_and_one_flag[:-1], one_stop_and_one_flag + b"\x00", SAID.pack(1 << 10), SAID.pack(1), b""):
        with pytest.raises(DomainError):
            arrays(memoryview(wrong), 2)


@given(text=st.text())
def test_a_readable_text_can_be_stored_and_shown_on_one_line(text: str) -> None:
    assert readable(text).isprintable()
    assert readable(text).encode().decode() == readable(text)
