"""Which system calls a strategy's process may make: a filter of our own for x86-64 and arm64, by permission and not by prohibition.

Loaded by path in the sandbox, so it imports only the standard library. What is not named here is refused with EPERM: starting a process
or a thread, signals, sockets, ptrace, process_vm_*, pidfd, memfd, io_uring, namespaces, shared memory, writing or naming files, asking
of a path whether it is there, where it leads or what may be done with it (shelf.py is what late imports ask instead). A call
of another architecture's table (32-bit, x32) ends the process. The layout is that of linux/seccomp.h, linux/filter.h and linux/audit.h;
the numbers are those of asm/unistd_64.h and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_ERRNO = 0x00050000
_EPERM, _ENOSYS = 1, 38
_X32 = 0x40000000
_PR_SET_SECCOMP, _MODE_FILTER = 22, 2

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# Reading and writing what is open already, memory of one's own, time, and asking about oneself. A pair is (x86-64, arm64); None: the
# architecture does not have it.
_PLAIN: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80),
    "poll": (7, None), "lseek": (8, 62), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66),
    "select": (23, None), "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233),
    "dup": (32, 23), "nanosleep": (35, 101), "getpid": (39, 172), "exit": (60, 93), "uname": (63, 160), "getcwd": (79, 17),
    "gettimeofday": (96, 169), "getrlimit": (97, 163), "getrusage": (98, 165), "sysinfo": (99, 179),
    "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175), "getegid": (108, 177),
    "getppid": (110, 173), "sigaltstack": (131, 132), "gettid": (186, 178), "time": (201, None), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "restart_syscall": (219, 128), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "pselect6": (270, 72), "ppoll": (271, 73), "getcpu": (309, 168),
    "getrandom": (318, 278),
}  # fmt: skip
# The C library asks for these and goes on without.
_UNKNOWN: dict[str, tuple[int | None, int | None]] = {"clone3": (435, 435), "openat2": (437, 437), "rseq": (334, 293)}

_OPEN_TO_WRITE = (
    0o3 | 0o100 | 0o1000 | 0o20000000 | 0o10000000
)  # O_WRONLY | O_RDWR, O_CREAT, O_TRUNC, O_TMPFILE without its O_DIRECTORY; and O_PATH, which names a file without opening it
_PROT_WRITE, _PROT_EXEC = 2, 4
_FCNTL = (0, 1, 2, 3, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC: none that sends a signal or locks
_IOCTL = (0x5401, 0x5451)  # TCGETS (is it a terminal), FIOCLEX


class Unsupported(Exception):
    """This machine has no such filter; the message says why."""


def program(machine: str) -> bytes:
    """The filter as an array of struct sock_filter. Raises Unsupported for an architecture without a table."""
    if machine not in _AUDIT:
        raise Unsupported(f"there is no filter for the architecture {machine}")
    column = list(_AUDIT).index(machine)
    code = [
        _step(_LOAD, _ARCHITECTURE), _step(_EQUAL, _AUDIT[machine], 1, 0), _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER), _step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _KILL),
    ]  # fmt: skip
    for numbers in _PLAIN.values():
        code += _when(numbers[column], [_step(_RETURN, _ALLOW)])
    for numbers in _UNKNOWN.values():
        code += _when(numbers[column], [_step(_RETURN, _ERRNO | _ENOSYS)])
    code += _when((2, None)[column], _without(1, _OPEN_TO_WRITE))  # open
    code += _when((257, 56)[column], _without(2, _OPEN_TO_WRITE))  # openat
    code += _when((9, 222)[column], _not_both(2, _PROT_WRITE | _PROT_EXEC))  # mmap
    code += _when((10, 226)[column], _without(2, _PROT_EXEC))  # mprotect
    code += _when((72, 25)[column], _one_of(1, _FCNTL))  # fcntl
    code += _when((16, 29)[column], _one_of(1, _IOCTL))  # ioctl
    code += _when((302, 261)[column], _null(2))  # prlimit64, to ask
    return b"".join([*code, _step(_RETURN, _ERRNO | _EPERM)])


def install(filters: bytes) -> None:
    """Bind this process to `filters`, for good; no_new_privs must be set. Raises Unsupported where the kernel refuses."""
    held = ctypes.create_string_buffer(filters, len(filters))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(filters) // 8, ctypes.addressof(held)))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(header), 0, 0) != 0:
        raise Unsupported(f"the kernel takes no filter of system calls ({os.strerror(ctypes.get_errno())})")


def here() -> bytes:
    """The filter for this machine."""
    return program(platform.machine())


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _when(number: int | None, then: list[bytes]) -> list[bytes]:
    """Do `then`, which ends in a verdict on every path, when the call is this one."""
    return [] if number is None else [_step(_EQUAL, number, 0, len(then)), *then]


def _without(argument: int, bits: int) -> list[bytes]:
    """Allowed when none of `bits` is set in an int argument."""
    return [
        _step(_LOAD, _ARGUMENTS + 8 * argument), _step(_AND, bits), _step(_EQUAL, 0, 0, 1), _step(_RETURN, _ALLOW),
        _step(_RETURN, _ERRNO | _EPERM),
    ]  # fmt: skip


def _not_both(argument: int, bits: int) -> list[bytes]:
    """Allowed unless all of `bits` are set."""
    return [
        _step(_LOAD, _ARGUMENTS + 8 * argument), _step(_AND, bits), _step(_EQUAL, bits, 0, 1), _step(_RETURN, _ERRNO | _EPERM),
        _step(_RETURN, _ALLOW),
    ]  # fmt: skip


def _one_of(argument: int, values: tuple[int, ...]) -> list[bytes]:
    checks = [step for value in values for step in (_step(_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW))]
    return [_step(_LOAD, _ARGUMENTS + 8 * argument), *checks, _step(_RETURN, _ERRNO | _EPERM)]


def _null(argument: int) -> list[bytes]:
    """Allowed when a pointer is null, in both of its halves."""
    low = _ARGUMENTS + 8 * argument
    return [
        _step(_LOAD, low), _step(_EQUAL, 0, 1, 0), _step(_RETURN, _ERRNO | _EPERM),
        _step(_LOAD, low + 4), _step(_EQUAL, 0, 1, 0), _step(_RETURN, _ERRNO | _EPERM), _step(_RETURN, _ALLOW),
    ]  # fmt: skip
