"""What a hostile strategy may try: each attempt as Python, by name, with the outcome that it must have.

An attempt that gets anywhere calls `escaped`, whose message no outcome may hold. `real` is Python's own import: the second wall has been
climbed before most attempts begin.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass

from signalist.sandbox import FailureKind

PRELUDE = """
import numpy as np
from signalist_strategy import Candles, Signals

history = 3
real = Candles.__len__.__globals__["__builtins__"]["__import__"]
opened = Candles.__len__.__globals__["__builtins__"]["open"]
ctypes, errno, fcntl, gc, mmap, os, pickle, resource, select, signal, socket, struct, subprocess, sys, threading, time = map(
    real, "ctypes errno fcntl gc mmap os pickle resource select signal socket struct subprocess sys threading time".split()
)

def escaped(what=""):
    raise LookupError(f"ESCAPED {what!r}")

def refused():
    raise PermissionError("nothing came of it")

def call(number, *arguments):
    # With seven arguments at hand, whatever the call takes.
    answer = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments, *[0] * (6 - len(arguments)))
    if answer < 0:
        raise OSError(ctypes.get_errno(), "refused")
    escaped(answer)

def forge(kind, number, length, body=b""):
    os.write(3, struct.pack("<BIQ", kind, number, length) + body)

def signals(candles, parameters):
    if candles.close[-1] > 1000:
{body}
    return Signals(enter_long=candles.close > 0, stop_long=candles.close * 0.9)
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is tried, how the run must end, and a part of what its author is told."""

    body: str
    kind: FailureKind
    said: str = ""
    seconds: float = 5.0


_ARM = platform.machine() == "aarch64"


def _call(intel: int, arm: int, *arguments: str) -> Attempt:
    """A system call by its number."""
    return Attempt(f"call({', '.join([str(arm if _ARM else intel), *arguments])})", FailureKind.FORBIDDEN)


def _forbidden(body: str, said: str = "the sandbox refused") -> Attempt:
    return Attempt(body, FailureKind.FORBIDDEN, said)


def _raised(body: str, said: str = "") -> Attempt:
    return Attempt(body, FailureKind.RAISED, said)


def _died(body: str, said: str = "ended") -> Attempt:
    return Attempt(body, FailureKind.DIED, said)


def _bad(body: str, said: str) -> Attempt:
    return Attempt(body, FailureKind.BAD_OUTPUT, said)


def _slow(body: str) -> Attempt:
    return Attempt(body, FailureKind.TIMED_OUT, "did not answer within 0.3 s", 0.3)


SECOND_WALL = {
    "imports os": _forbidden("import os", "may not import os; it may import"),
    "imports a part of os": _forbidden("from os import path", "may not import os"),
    "imports subprocess": _forbidden("import subprocess", "may not import subprocess"),
    "imports ctypes": _forbidden("import ctypes", "may not import ctypes"),
    "imports socket": _forbidden("import socket", "may not import socket"),
    "imports importlib": _forbidden("import importlib", "may not import importlib"),
    "imports pickle": _forbidden("import pickle", "may not import pickle"),
    "imports a reaching part": _forbidden("from numpy import ctypeslib", "may not import numpy.ctypeslib"),
    "imports a module of ours": _forbidden("import signalist.settings", "may not import signalist.settings"),
    "imports by function": _forbidden("__import__('os')", "may not import os"),
    "imports relatively": _forbidden("from . import os", "nothing for it to import relatively"),
    "opens": _forbidden("open('/etc/passwd')", "may not call open()"),
    "evaluates": _forbidden("eval('1')", "may not call eval()"),
    "executes": _forbidden("exec('x = 1')", "may not call exec()"),
    "compiles": _forbidden("compile('1', '', 'eval')", "may not call compile()"),
}

FILES = {
    "reads the passwords": _forbidden("escaped(opened('/etc/passwd').read())"),
    "asks what it may do with a file": _forbidden("os.access('/etc/passwd', 0) and escaped()\nrefused()", ""),
    "asks where a link leads": _forbidden("escaped(os.readlink('/proc/self/exe'))"),
    "asks by number what it may do with a file": _call(269, 48, "-100", "b'/etc/passwd'", "0"),
    "asks anew what it may do with a file": _call(439, 439, "-100", "b'/etc/passwd'", "0", "0"),
    "asks whether a file is there": _forbidden("escaped(os.stat('/etc/passwd'))"),
    "asks about a link": _forbidden("escaped(os.lstat('/etc/localtime'))"),
    "asks by number about a file": _call(262, 79, "-100", "b'/etc/passwd'", "ctypes.create_string_buffer(256)", "0x1000"),
    "asks anew about a file": _call(332, 291, "-100", "b'/etc/passwd'", "0", "0x7ff", "ctypes.create_string_buffer(256)"),
    "reads our settings": _forbidden("escaped(opened('{root}/signalist/settings.py').read())"),
    "reads our database": _forbidden("escaped(opened('{canary}').read())"),
    "reads the database's library": _raised("escaped(real('sqlite3').connect('{canary}').execute('select 1'))"),
    "reads its own environment": _forbidden("escaped(opened('/proc/self/environ').read())"),
    "reads its own memory": _forbidden("escaped(opened('/proc/self/mem', 'rb').read(1))"),
    "reads the parent's environment": _forbidden("escaped(opened(f'/proc/{{os.getppid()}}/environ').read())"),
    "writes the parent's memory": _forbidden("escaped(opened(f'/proc/{{os.getppid()}}/mem', 'r+b'))"),
    "lists processes": _forbidden("escaped(os.listdir('/proc'))"),
    "lists the root": _forbidden("escaped(os.listdir('/'))"),
    "lists home": _forbidden("escaped(os.listdir('/root'))"),
    "walks in by a handle": _forbidden("there = os.open('/', os.O_PATH)\nescaped(os.open('etc/passwd', os.O_RDONLY, dir_fd=there))"),
    "creates a file": _forbidden("escaped(opened('/tmp/signalist-escape', 'w'))"),
    "creates shared memory": _forbidden("escaped(opened('/dev/shm/signalist-escape', 'w'))"),
    "creates an unnamed file": _forbidden("escaped(os.open('/tmp', os.O_TMPFILE | os.O_RDWR))"),
    "writes a file that is there": _forbidden("escaped(opened('{canary}', 'a'))"),
    "truncates": _forbidden("escaped(os.truncate('{canary}', 0))"),
    "changes a library": _forbidden("escaped(opened(np.__file__, 'a'))"),
    "plants compiled code": _forbidden("escaped(os.mkdir(os.path.dirname(np.__file__) + '/planted'))"),
    "links symbolically": _forbidden("os.symlink('/etc/passwd', '/tmp/signalist-escape')\nescaped()"),
    "links": _forbidden("os.link('{canary}', '/tmp/signalist-escape')\nescaped()"),
    "renames": _forbidden("os.rename('{canary}', '/tmp/signalist-escape')\nescaped()"),
    "deletes": _forbidden("os.unlink('{canary}')\nescaped()"),
    "changes rights": _forbidden("os.chmod('{canary}', 0o777)\nescaped()"),
    "makes a pipe with a name": _forbidden("os.mkfifo('/tmp/signalist-escape')\nescaped()"),
    "makes a device": _forbidden("os.mknod('/tmp/signalist-escape', 0o600 | 0o020000, os.makedev(1, 1))\nescaped()"),
    "leaves its folder": _forbidden("os.chdir('/etc')\nescaped()"),
    "changes the root": _forbidden("os.chroot('/tmp')\nescaped()"),
    "mounts": _call(165, 40, "b'none'", "b'/tmp'", "b'tmpfs'"),
    "opens a device": _forbidden("escaped(os.open('/dev/zero', os.O_RDONLY))"),
    "locks a file": _forbidden("fcntl.flock(0, fcntl.LOCK_EX)\nescaped()"),
}  # fmt: skip

NETWORK = {
    "connects": _forbidden("escaped(socket.create_connection(('127.0.0.1', {port}), 1))"),
    "sends datagrams": _forbidden("escaped(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))"),
    "talks to a local socket": _forbidden("escaped(socket.socket(socket.AF_UNIX))"),
    "talks to the kernel": _forbidden("escaped(socket.socket(16, socket.SOCK_RAW, 0))"),
    "makes a pair of sockets": _forbidden("escaped(socket.socketpair())"),
    "fetches an address": _raised("escaped(real('urllib.request').request.urlopen('http://127.0.0.1:{port}/', timeout=1))"),
    "makes a socket by number": _call(41, 198, "2", "1"),
    "sends a descriptor to the parent": _call(46, 211, "3"),
    "binds the channel": _call(49, 200, "3"),
}  # fmt: skip

PROCESSES = {
    "forks": _forbidden("escaped(os.fork())"),
    "bombs": _forbidden("while True: os.fork()"),
    "spawns": _forbidden("escaped(os.posix_spawn('/bin/true', ['true'], {{}}))"),
    "runs a program": _forbidden("escaped(subprocess.run(['/bin/true']))"),
    "becomes a program": _forbidden("os.execv('/bin/sh', ['sh'])\nescaped()"),
    "becomes Python": _forbidden("os.execv(sys.executable, ['python'])\nescaped()"),
    "runs a shell": _forbidden("os.system('true') == 0 and escaped()\nrefused()"),
    "starts a thread": _raised("threading.Thread(target=time.sleep).start()\nescaped()", "can't start new thread"),
    "clones": _call(56, 220, "0x10000011"),
    "clones anew": _raised("call(435, ctypes.create_string_buffer(88), 88)", "Errno 38"),
    "unshares": _call(272, 97, "0x10000000"),
    "enters a namespace": _call(308, 268, "0", "0"),
    "kills its parent": _forbidden("os.kill(os.getppid(), signal.SIGKILL)\nescaped()"),
    "kills a sibling": _forbidden("os.kill({sibling}, signal.SIGKILL)\nescaped()"),
    "kills us": _forbidden("os.kill({us}, signal.SIGKILL)\nescaped()"),
    "kills everybody": _forbidden("os.kill(-1, signal.SIGKILL)\nescaped()"),
    "kills its group": _forbidden("os.killpg(0, signal.SIGKILL)\nescaped()"),
    "signals a thread": _call(234, 131, "{us}", "{us}", "15"),
    "takes a handle on us": _call(434, 434, "{us}"),
    "has the kernel signal us": _forbidden("fcntl.fcntl(3, 8, {us})\nescaped()"),
    "traces us": _call(101, 117, "16", "{us}"),
    "reads our memory": _call(310, 270, "{us}"),
    "writes our memory": _call(311, 271, "{us}"),
    "limits us": _forbidden("resource.prlimit({us}, resource.RLIMIT_CPU, (1, 1))\nescaped()"),
    "lifts its own limits": _raised("resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))\nescaped()"),
    "becomes root": _forbidden("os.setuid(0)\nescaped()"),
    "takes a session": _forbidden("os.setsid()\nescaped()"),
    "takes our core": _forbidden("os.sched_setaffinity({us}, [0])\nescaped()"),
    "takes priority": _forbidden("os.setpriority(os.PRIO_PROCESS, 0, -10)\nescaped()"),
}  # fmt: skip

MEMORY = {
    "makes a file in memory": _forbidden("escaped(os.memfd_create('x'))"),
    "makes old shared memory": _call(29, 194, "0", "4096", "0o1666"),
    "makes shared memory": _forbidden("escaped(real('multiprocessing.shared_memory').shared_memory.SharedMemory('x', True, 64))"),
    "makes a queue": _call(68, 186, "1", "0o1666"),
    "maps memory to write and run": _forbidden("escaped(mmap.mmap(-1, 4096, prot=7))"),
    "makes memory run": _forbidden(
        "m = mmap.mmap(-1, 4096)\ncall({mprotect}, ctypes.addressof(ctypes.c_char.from_buffer(m)), 4096, 5)"
    ),
    "handles page faults": _call(323, 282, "0"),
    "loads a program into the kernel": _call(321, 280, "0"),
    "watches events": _call(298, 241, "0", "0", "-1", "-1"),
    "opens a ring": _call(425, 425, "8", "ctypes.create_string_buffer(120)"),
    "adds a key": _call(248, 217, "b'user'", "b'x'", "b'y'", "1", "-3"),
    "loads a module": _call(175, 105, "b'x'", "1", "b''"),
    "loosens its walls": _call(157, 167, "4", "1"),
    "replaces its filter": _call(317, 277, "1", "0", "ctypes.create_string_buffer(16)"),
    "calls by another table": _died("call(0x40000000 + 41, 2, 1)", "signal 31") if not _ARM else _call(0, 198),
    "reads at nothing": _died("ctypes.string_at(0)", "ended on signal 11"),
    "writes over Python": _died("ctypes.memset(id(None), 255, 64)\nrefused()"),
    "allocates": Attempt("bytearray(1 << 30)", FailureKind.MEMORY),
    "allocates an array": Attempt("np.ones(1 << 28)", FailureKind.MEMORY),
    "grows": Attempt("held = []\nwhile True: held.append(bytes(1 << 22))", FailureKind.MEMORY),
    "maps memory": _raised("escaped(mmap.mmap(-1, 1 << 33))", "Cannot allocate"),
}  # fmt: skip

TIME_AND_OUTPUT = {
    "loops": _slow("while True: pass"),
    "sleeps": _slow("time.sleep(60)"),
    "hangs in C": _slow("sum(range(10**12))"),
    "hangs in a pattern": _slow("real('re').match('(a*)*b', 'a' * 99)"),
    "catches everything": _slow("while True:\n    try:\n        while True: pass\n    except BaseException: pass"),
    "blocks signals": _slow(
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    ),
    "waits for what never comes": _slow("os.read(3, 1)"),
    "prints for ever": Attempt("while True: print('x' * 1000)", FailureKind.TOO_MUCH_OUTPUT),
    "writes errors for ever": Attempt("while True: os.write(2, b'x' * 1000)", FailureKind.TOO_MUCH_OUTPUT),
    "recurses": _raised("f = lambda: f()\nf()", "RecursionError"),
    "nests without end": _raised("x = []\nfor _ in range(10**5): x = [x]\nrepr(x)", "RecursionError"),
    "exits": _died("os._exit(7)", "exit status 7"),
    "leaves an exit for later": Attempt("real('atexit').register(os._exit, 9)\nraise ValueError", FailureKind.RAISED),
}  # fmt: skip

REPLIES = {
    "answers with a pickle": _bad("os.write(3, pickle.dumps({{'enter_long': [True] * 50}}))", "does not belong to the request"),
    "answers in part and exits": _died("forge(7, 1, 52, b'x')\nos._exit(0)", "exit status 0"),
    "answers in part and waits": _slow("forge(7, 1, 52, b'x')\ntime.sleep(9)"),
    "announces too much": _bad("forge(7, 1, 2**60)", "more than there can be"),
    "announces a book of failure": _bad("forge(10, 1, 2**60)", "more than there can be"),
    "answers another question": _bad("forge(7, 9, 52, bytes(52))", "does not belong to the request"),
    "answers in another kind": _bad("forge(9, 1, 52, bytes(52))", "does not belong to the request"),
    "answers with too little": _bad("forge(7, 1, 5, bytes(5))", "a row of the wrong size"),
    "forges our failure": _bad(
        'said = b\'{{"kind": "refused", "message": "", "line": null}}\'\nforge(10, 1, len(said), said)', "a failure that cannot be read"
    ),
    "fails with a formatted price": _bad("return Signals(enter_long=candles.close > 0, stop_long=candles.close * np.inf)", "stop_long"),
    "closes its channel": _bad("os.close(3)\ntime.sleep(9)", "closed the channel"),
    "puts another end in its channel's place": _forbidden("os.dup2(0, 3)"),
}  # fmt: skip

OTHERS = {
    "walks to the shell by subclasses": _forbidden(
        "for one in ().__class__.__base__.__subclasses__():\n"
        "    if one.__name__ == '_wrap_close':\n"
        "        one.__init__.__globals__['execv']('/bin/sh', ['sh'])\nescaped()"
    ),
    "looks for others in memory": _raised(
        "wanted = ''.join(('siblings-', 'secret'))\n"
        "escaped() if any(wanted in one.values() for one in gc.get_objects() if type(one) is dict) else int('nothing')", "invalid literal",
    ),
    "looks for descriptors": _raised(
        "for n in range(4, 64):\n"
        "    try: os.get_inheritable(n)\n"
        "    except OSError: continue\n"
        "    escaped(n)\n"
        "int('nothing')", "invalid literal",
    ),
    "looks for secrets in its frames": _raised(
        "frame, seen = sys._getframe(), []\n"
        "while frame: seen += [*frame.f_locals, *frame.f_globals]; frame = frame.f_back\n"
        "escaped() if 'DATABASES' in seen or os.environ else int('nothing')", "invalid literal",
    ),
}  # fmt: skip

ATTEMPTS = {**SECOND_WALL, **FILES, **NETWORK, **PROCESSES, **MEMORY, **TIME_AND_OUTPUT, **REPLIES, **OTHERS}
