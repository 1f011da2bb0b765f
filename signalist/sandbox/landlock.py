"""Which files a strategy's process may see: those of Python's own libraries, to read; nothing else, and no network.

Loaded by path in the sandbox, so it imports only the standard library. The calls are those of linux/landlock.h (ABI 1 in Linux 5.13).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# The rights to files that each version of the interface knows: all of them are taken.
_KNOWN_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_MOST_BITS = 16
_NET = 0b11  # bind and connect of TCP, from version 4
_SCOPES = 0b11  # abstract sockets and signals to the outside, from version 6


class Unsupported(Exception):
    """This kernel has no Landlock, or it is switched off; the message says why."""


def restrict(readable: Iterable[str]) -> int:
    """Take from this process every file but those beneath `readable`, and TCP; returns the interface's version.

    no_new_privs must be set. Raises Unsupported where the kernel cannot.
    """
    library = ctypes.CDLL(None, use_errno=True)
    version = library.syscall(_CREATE, None, 0, _VERSION_FLAG)
    if version < 1:
        raise Unsupported(f"the kernel has no Landlock ({os.strerror(ctypes.get_errno())})")
    rights = (1 << _KNOWN_BITS.get(version, _MOST_BITS)) - 1
    attributes = struct.pack("<QQQ", rights, _NET if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call(library, _CREATE, attributes[:size], size, 0)
    try:
        for path in readable:
            _allow(library, rules, path)
        _call(library, _RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return int(version)


def _allow(library: ctypes.CDLL, rules: int, path: str) -> None:
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # a library that is not installed is not read
        return
    try:
        rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE  # noqa: PTH112  # pathlib is not needed here
        _call(library, _ADD, rules, _PATH_BENEATH, struct.pack("<Qi", rights, there), 0)
    finally:
        os.close(there)


def _call(library: ctypes.CDLL, number: int, *arguments: object) -> int:
    answer = int(library.syscall(number, *arguments))
    if answer < 0:
        raise Unsupported(f"Landlock refuses ({os.strerror(ctypes.get_errno())})")
    return answer
