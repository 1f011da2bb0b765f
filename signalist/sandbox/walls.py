"""Takes from the sandbox what no strategy needs, and says which walls stand.

Loaded by path in the sandbox, so it imports only the standard library. `around_all` is done once, by the process that the others are
forked from; `around_one` in each of those, right before a strategy gets to run.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from types import ModuleType

OPEN_FILES = 48
NOBODY = 65534
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522
_FIRST_VICTIM = "1000"

NO_NEW_PRIVILEGES, LIMITS, SECCOMP, LANDLOCK, OTHER_USER, NO_CAPABILITIES = (
    "no_new_privs", "rlimits", "seccomp", "landlock", "other_user", "no_capabilities",
)  # fmt: skip


def tie(parent: int) -> None:
    """End this process when its parent does; `parent` is its id, 0 where it cannot be seen from here."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent and os.getppid() != parent:  # it died before the line above
        os._exit(1)


def around_all(readable: list[str], landlock: ModuleType, leave_out: frozenset[str]) -> tuple[list[str], list[str]]:
    """The walls that stand from now on and the reasons for those that do not. `leave_out` names walls that shall not be raised."""
    stand, missing = [], []
    # Where memory runs out for the machine, the kernel shall take strategies before engines.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write(_FIRST_VICTIM)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.geteuid() == 0:
        stand += _step_down(readable)
    if _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0:
        stand.append(NO_NEW_PRIVILEGES)
    else:
        missing.append("no_new_privs: refused by the kernel")
    if LANDLOCK in leave_out:
        missing.append("landlock: left out")
        return stand, missing
    try:
        landlock.restrict(readable)
        stand.append(LANDLOCK)
    except landlock.Unsupported as reason:
        missing.append(f"landlock: {reason}")
    return stand, missing


def filters(seccomp: ModuleType, leave_out: frozenset[str]) -> tuple[bytes, str]:
    """The filter of system calls for `around_one`, tried in a process of its own; empty, with the reason, where it cannot be had."""
    if SECCOMP in leave_out:
        return b"", "seccomp: left out"
    try:
        made = seccomp.here()
    except seccomp.Unsupported as reason:
        return b"", f"seccomp: {reason}"
    pid = os.fork()
    if pid == 0:
        try:
            seccomp.install(made)
            os.fork()
        except PermissionError:
            os._exit(0)
        except seccomp.Unsupported:
            os._exit(2)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (
        (made, "")
        if status == 0
        else (b"", "seccomp: the kernel takes no filter of system calls, or does not follow it")
    )


def address_space() -> int:
    """Bytes of address space that this process has; to be asked before the walls stand."""
    with open("/proc/self/statm") as pages:  # noqa: PTH123
        return int(pages.read().split()[0]) * resource.getpagesize()


def around_one(room: int, seconds: float, seccomp: ModuleType, made: bytes) -> None:
    """Limit this process for one run: `room` bytes of address space, `seconds` of processor time and a little, and its calls."""
    _limits(room, seconds)
    if made:
        seccomp.install(made)


def _limits(room: int, seconds: float) -> None:
    whole = int(seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))


def _step_down(readable: list[str]) -> list[str]:
    """Be nobody, where nobody can read Python's libraries; root without any capability elsewhere."""
    if all(_seen_by_others(path) for path in readable):
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return [OTHER_USER]
    number = _CAPSET.get(os.uname().machine)
    if number is None:
        return []
    header, nothing = struct.pack("<Ii", _CAPABILITY_VERSION, 0), bytes(24)
    ctypes.CDLL(None).syscall(number, header, nothing)
    return [NO_CAPABILITIES]


def _seen_by_others(path: str) -> bool:
    while True:
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError:
            return path not in sys.path  # what is not there is not read
        if not mode & 0o4:
            return False
        parent = os.path.dirname(path)  # noqa: PTH120
        if parent == path:
            return True
        path = parent


def _prctl(option: int, value: int) -> int:
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0))
