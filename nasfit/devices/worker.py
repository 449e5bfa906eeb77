"""The engine's process: loads networks, times them, and speaks JSON lines on standard input and output.

Self-contained together with the files beside it that `FILES` names (standard library, numpy and the engine; Python 3.8
on), so that they also run on a board without nasfit. A request is `{"do": ..., ...}` on one line; with `"bytes": n` in
it, n raw bytes follow, a network's file. Its answer is `{"ok": {...}}` or `{"error": text, "kind": whose fault}` on one
line, strictly in turn. kind is "trial" (the network's), "device", "usage" (the asker's) or "missing" (the engine is
not installed).

    hello      engine, core, realtime, threads, timeout_s -> description of the machine
               code, class_name of an engine that is not in worker_engines.py
    load       model, bytes                               -> {}
    sample     model, warm, runs                          -> wall_ns, cpu_ns of all runs together; probe_ns
    run        model, shape, data (base64 float32)        -> shape, data
    state                                                 -> load_average, temperature_c, clock_mhz, throttled
    resources  bytes                                      -> peak_bytes, energy_j (of one inference, may be null)
    crash                                                 -> no answer: the process ends as if the engine had crashed

End of input ends the process.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import sys
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

FILES = ("worker.py", "worker_engines.py", "worker_machine.py")

YIELD_SHARE = 0.1
YIELD_LEAST_S = 0.0002
PIECE_BYTES = 1 << 20
# Weights as read, weights as packed by the engine, and its working maps.
MEMORY_FACTOR = 3
PROBE_FLOATS = 6_000_000
LINE_FLOATS = 16  # of a cache line of 64 bytes
PROBE_READS = 20_000
ENERGY_S = 0.3


def beside(name: str) -> Any:
    """The module of this name that lies beside this file; the folder itself is kept off the module path."""
    spec = importlib.util.spec_from_file_location(name, str(Path(__file__).with_name(f"{name}.py")))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from nasfit.devices import worker_engines as engines
    from nasfit.devices import worker_machine as machine
else:
    engines = beside("worker_engines")
    machine = beside("worker_machine")


class Refusal(Exception):
    """A request that cannot be done; kind as in the answers."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Loaded:
    """A network and the fixed random input it is timed on."""

    def __init__(self, engine: Any, path: str, threads: int) -> None:
        self.net = engine(path, threads)
        self.shape: list[int] = self.net.input_shape
        if len(self.net.inputs) != 1 or self.net.inputs[0][1] != "float32":
            told = ", ".join(f"{name} ({kind})" for name, kind in self.net.inputs)
            raise Refusal("trial", f"inputs are {told}; it must take one, of float32")
        if len(self.shape) == 4 and self.shape[0] != 1:
            raise Refusal("trial", f"it takes a batch of {self.shape[0]}; only a batch of 1 is timed")
        self.timed_BCHW = np.random.default_rng(0).standard_normal(self.shape, dtype=np.float32)
        self.net.bind(self.timed_BCHW)

    def answer_to(self, image_BCHW: np.ndarray) -> np.ndarray:
        """Output for a given input; the fixed one is put back."""
        if list(image_BCHW.shape) != self.shape:
            raise Refusal("usage", f"input has shape {list(image_BCHW.shape)}; the network takes {self.shape}")
        self.net.bind(image_BCHW)
        try:
            self.net.infer()
            return np.ascontiguousarray(self.net.output(), dtype=np.float32)
        finally:
            self.net.bind(self.timed_BCHW)


class Probe:
    """Scattered reads from more memory than a core's own caches hold: slow when neighbours are busy."""

    def __init__(self) -> None:
        self.memory = np.arange(PROBE_FLOATS, dtype=np.float32)
        self.places = np.random.default_rng(0).integers(0, PROBE_FLOATS, PROBE_READS, dtype=np.intp)
        self.out = np.empty(PROBE_READS, np.float32)

    def time_ns(self) -> int:
        """CPU time it takes now, about 0.2 ms; another 0.8 ms go into reading all of it once, untimed."""
        # A network that ran just before leaves more or less of the memory in the caches: read it, and all start alike.
        self.memory[::LINE_FLOATS].sum()
        began = time.thread_time_ns()
        # In "raise" mode numpy would allocate a buffer of its own.
        np.take(self.memory, self.places, out=self.out, mode="clip")
        return time.thread_time_ns() - began


class Worker:
    """State of the process: the engine, its networks and their fixed inputs."""

    def __init__(self) -> None:
        self.engine: Any = None
        self.models: dict[str, Loaded] = {}
        self.probe: Probe | None = None
        self.core: int | None = None
        self.threads = 1
        self.realtime = False
        self.timeout_s = 60.0  # until it is told; importing an engine takes a slow board long
        self.throttle_count = machine.throttle_count()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request."""
        steps: dict[str, Callable[..., dict[str, Any]]] = {
            "hello": self.hello,
            "load": self.load,
            "sample": self.sample,
            "run": self.run,
            "state": self.state,
            "resources": self.resources,
            "crash": self.crash,
        }
        do = request.pop("do")
        if do not in steps:
            raise Refusal("usage", f"no step {do!r}; there are {', '.join(steps)}")
        return steps[do](**request)

    def hello(
        self,
        engine: str,
        core: int | None,
        realtime: bool,
        timeout_s: float,
        threads: int = 1,
        code: str | None = None,
        class_name: str = "",
    ) -> dict[str, Any]:
        """Settle on a core, a priority and an engine; tell what they are."""
        self.engine = engines.ENGINES[engine] if code is None else class_of(code, class_name)
        self.threads, self.timeout_s = threads, timeout_s
        # Before the engine is imported, whose threads inherit the cores.
        try:
            cores = machine.pick_cores(core, threads)
        except ValueError as error:
            raise Refusal("usage", str(error)) from error
        if cores:
            os.sched_setaffinity(0, cores)
        self.core = cores[0] if threads == 1 and cores else None
        os.environ.update(engines.ENVIRONMENT, OMP_NUM_THREADS=str(threads))
        version = engine_version(self.engine.modules)
        memory = machine.memory_bytes("MemTotal")
        self.realtime = realtime and threads == 1 and try_realtime(timeout_s)
        return {
            "engine": f"{engine} {version}, {threads} thread{'s' if threads > 1 else ''}",
            "cpu": machine.cpu_model(),
            "machine": platform.machine(),
            "cores": os.cpu_count() or 1,
            "threads": threads,
            "core": self.core,
            "realtime": self.realtime,
            "os": platform.platform(),
            "clock_step_ns": machine.clock_step_ns(),
            "governor": machine.governor(self.core),
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "memory_mb": None if memory is None else memory / 1e6,
            "power": machine.power(),
            **{key: value for key, value in self.state().items() if key != "throttled"},
        }

    def load(self, model: str, content: IO[bytes]) -> dict[str, Any]:
        """Read a network's file."""
        self.models[model] = self.loaded(content)
        return {}

    def loaded(self, content: IO[bytes]) -> Loaded:
        """A network from its file, unless the memory left is plainly too small for it."""
        size = os.fstat(content.fileno()).st_size
        free = machine.memory_bytes("MemAvailable")
        if free is not None and free < MEMORY_FACTOR * size:
            raise Refusal(
                "trial",
                f"its file of {size / 1e6:.0f} MB is too large for the {free / 1e6:.0f} MB of memory that are free; "
                f"loading takes about {MEMORY_FACTOR} times the file",
            )
        return Loaded(self.engine, engines.path_of(content), self.threads)

    def sample(self, model: str, warm: int, runs: int) -> dict[str, Any]:
        """Time `runs` inferences after `warm` untimed ones, all in real time where that is granted."""
        infer = self.models[model].net.infer
        if self.probe is None:
            self.probe = Probe()
            self.probe.time_ns()
        with priority(self.realtime):
            probe_ns = self.probe.time_ns()
            for _ in range(warm):
                infer()
            wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
            for _ in range(runs):
                infer()
            cpu_ns = time.thread_time_ns() - cpu_ns
            wall_ns = time.perf_counter_ns() - wall_ns
        if self.realtime:
            # Whoever shares the core was shut out for the whole sample: let it run before the next one.
            time.sleep(max(YIELD_LEAST_S, YIELD_SHARE * wall_ns / 1e9))
        return {"wall_ns": wall_ns, "cpu_ns": cpu_ns, "probe_ns": probe_ns}

    def run(self, model: str, shape: list[int], data: str) -> dict[str, Any]:
        """Output for a given input."""
        image_BCHW = np.frombuffer(base64.b64decode(data), dtype=np.float32).reshape(shape).copy()
        output = self.models[model].answer_to(image_BCHW)
        return {"shape": list(output.shape), "data": base64.b64encode(output.tobytes()).decode()}

    def state(self) -> dict[str, Any]:
        """How the machine is now."""
        seen, self.throttle_count = self.throttle_count, machine.throttle_count()
        hot = "the processor has slowed down for its heat" if self.throttle_count > seen else None
        return {
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "temperature_c": machine.temperature_c(),
            "clock_mhz": machine.clock_mhz(self.core),
            "throttled": machine.throttled() or hot,
        }

    def resources(self, content: IO[bytes]) -> dict[str, Any]:
        """Peak memory and energy of one network; to be asked of a process that has loaded no other."""
        np.random.default_rng(0)  # imports more than a small network takes
        before = machine.reset_peak_bytes()
        infer = self.loaded(content).net.infer
        counted, runs = machine.package_energy_uj(), 0
        end = time.monotonic() + (ENERGY_S if counted else 0.0)
        while runs < 2 or time.monotonic() < end:
            infer()
            runs += 1
        joules = machine.joules_since(counted)
        peak = machine.peak_bytes()
        if before is None or peak is None:
            raise Refusal("device", "this system does not tell the peak memory of a process (VmHWM)")
        return {"peak_bytes": peak - before, "energy_j": None if joules is None else joules / runs}

    def crash(self) -> dict[str, Any]:
        """End the process at once."""
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def class_of(code: str, name: str) -> Any:
    """A class of an engine, from the text of its module."""
    module = types.ModuleType("nasfit_engine")
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, "<the engine's module>", "exec", dont_inherit=True), module.__dict__)
        return getattr(module, name)
    except Exception as error:
        raise Refusal("device", f"the engine's own code fails here ({type(error).__name__}: {error})") from error


def engine_version(modules: tuple[str, ...]) -> str:
    """Version of an engine, imported to see that it works at all."""
    name = engines.first_installed(modules)
    if name is None:
        raise Refusal("missing", f"no module {modules[0]!r}")
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise Refusal("device", f"its module {name!r} is there but does not import: {error}") from error
    package = name.partition(".")[0]
    version = getattr(sys.modules[package], "__version__", None)
    if version is None:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            version = importlib.metadata.version(package)
    # What follows the dash is the build.
    return str(version or "of unknown version").split("-")[0]


@contextlib.contextmanager
def priority(realtime: bool) -> Iterator[None]:
    """First-in-first-out scheduling for the time of a sample, where granted."""
    if not realtime:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def try_realtime(timeout_s: float) -> bool:
    """Whether real-time priority is granted; if so, the kernel ends this process should it hold a core too long."""
    if not hasattr(os, "sched_setscheduler"):
        return False
    import resource

    try:
        with priority(True):
            pass
        limit_us = int(timeout_s * 1e6)
        resource.setrlimit(resource.RLIMIT_RTTIME, (limit_us, limit_us))
    except (OSError, ValueError):
        return False
    return True


def received(source: IO[bytes], size: int, alive: Callable[[], None]) -> IO[bytes]:
    """The bytes that follow a request, in a file that has no name, so that nothing of it is left however this ends.

    Takes all of them even where the disk is full, so that the next request is found. alive: called after each piece.
    """
    file = engines.unnamed_file()
    failure: OSError | None = None
    while size:
        piece = source.read(min(size, PIECE_BYTES))
        if not piece:
            raise EOFError
        size -= len(piece)
        alive()
        try:
            if failure is None:
                file.write(piece)
                file.flush()
        except OSError as error:
            failure = error
    if failure is not None:
        full = failure.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "the disk is full" if full else str(failure)
        where = tempfile.gettempdir()
        raise Refusal("device", f"cannot keep a network's file in {where}: {what}; free some space or set TMPDIR")
    return file


def explained(error: Exception) -> dict[str, Any]:
    """The answer for a request that failed; an engine may raise anything, it belongs to the one who asked."""
    if isinstance(error, Refusal):
        return {"error": str(error), "kind": error.kind}
    return {"error": f"{type(error).__name__}: {error}", "kind": "trial"}


def alarm(seconds: float) -> None:
    """End this process in so many seconds, unless set anew; 0 takes it back.

    Whoever asked may be gone while a network hangs: the default action of SIGALRM ends the process.
    """
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def serve() -> None:
    """Answer requests until the input ends."""
    # Engines print to file descriptor 1 as they like; answers go to a copy of it and prints to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    # Ctrl-C reaches the whole foreground group; the end of the input says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker()
    source = sys.stdin.buffer

    def alive() -> None:
        alarm(worker.timeout_s + 5.0)

    for line in iter(source.readline, b""):
        alive()
        try:
            request = json.loads(line)
            size = request.pop("bytes", 0)
            if size:
                with received(source, size, alive) as request["content"]:
                    reply = {"ok": worker.answer(request)}
            else:
                reply = {"ok": worker.answer(request)}
        except EOFError:
            return
        except Exception as error:
            reply = explained(error)
        alarm(0)
        answers.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    serve()
