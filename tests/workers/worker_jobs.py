"""What the tests let workers do."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from nasfit.errors import TrialFailure
from nasfit.workers import Pool


def state(pid):
    """The letter that Linux gives it: S asleep, T stopped, Z ended; nothing once it was waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def gone(pid):
    """Whether the process has ended, waited for or not."""
    return state(pid) in ("Z", "")


remembered = None


def square(number):
    return number * number


def remember(value):
    global remembered
    remembered = value


def recall(_):
    return remembered


def nap(seconds):
    time.sleep(seconds)
    return os.getpid()


def surroundings(_):
    return {
        "cores": sorted(os.sched_getaffinity(0)),
        "threads": os.environ["OMP_NUM_THREADS"],
        "interrupt": signal.getsignal(signal.SIGINT),
        "torch": "torch" in sys.modules,
        "session": os.getsid(0) == os.getpid(),
    }


def end(how):
    """Do to this process what the text says; a number is squared."""
    if isinstance(how, int):
        return how * how
    actions = {
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "segfault": lambda: ctypes.string_at(0),
        "exit": lambda: os._exit(7),
        "sysexit": lambda: sys.exit("enough"),
        "raise": lambda: {}["missing\nkey"],
        "trial": lambda: _fail("accuracy is not finite"),
        "long": lambda: _fail("x" * 5000),
        "sleep": lambda: time.sleep(60),
        "stubborn": lambda: ctypes.PyDLL(None).sleep(60),
        "unpicklable": lambda: lambda: None,
        "unreadable": Unreadable,
        "memory": lambda: len(bytes(1 << 30)),
        "complain": lambda: (print("last words", file=sys.stderr, flush=True), os._exit(3)),
        "fork": _leave_a_child_and_die,
    }
    return actions[how]()


def leave_a_child(_):
    if os.fork() == 0:
        time.sleep(4)
        os._exit(0)


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def _fail(text):
    raise TrialFailure(text)


def _leave_a_child_and_die():
    if os.fork() == 0:
        time.sleep(8)
        os._exit(0)
    os._exit(9)


def bad_start():
    raise ImportError("no module named 'moonshine'")


def dying_start():
    os._exit(5)


def hanging_start():
    time.sleep(60)


def start_once(marker):
    """Works for the first process only."""
    with Path(marker).open("x"):
        pass


def drive(kind):
    """A parent: says its workers' process ids, then waits in the middle of a run."""
    with Pool(2) as pool:
        if kind == "pause":
            print(*pool.pids, flush=True)
            pool.pause()
            time.sleep(60)
        pool_at_work(pool, kind)


def pool_at_work(pool, kind):
    print(*pool.pids, flush=True)
    for _ in pool.run(end, [kind] * 4):
        pass
