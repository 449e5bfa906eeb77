"""The engine's process: loads networks, times them, and speaks JSON lines on standard input and output.

Self-contained (standard library, numpy and the engine), so that this one file also runs on a board without nasfit.
A request is `{"do": ..., ...}`, its answer `{"ok": {...}}` or `{"error": text}`; one line each, strictly in turn.

    hello   engine, core, realtime, timeout_s   -> description of the machine
    load    model, path                         -> {}
    sample  model, warm, runs                   -> wall_ns, cpu_ns, for all runs together
    run     model, shape, data (base64 float32) -> shape, data

End of input ends the process.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

YIELD_SHARE = 0.1
YIELD_LEAST_S = 0.0002


class OnnxRuntime:
    """A network in ONNX Runtime: CPU provider, one thread, no spinning, all graph optimisations."""

    package = "onnxruntime"
    threads = 1

    def __init__(self, path: str) -> None:
        onnxruntime: Any = importlib.import_module(self.package)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        entry = self.session.get_inputs()[0]
        self.input_name = entry.name
        self.input_shape = [size if isinstance(size, int) else 1 for size in entry.shape]
        self.binding = self.session.io_binding()
        self.binding.bind_output(self.session.get_outputs()[0].name)
        self.bind(np.random.default_rng(0).standard_normal(self.input_shape, dtype=np.float32))

    def bind(self, image_BCHW: np.ndarray) -> None:
        """Set the input. Bound once, it saves 5 us a call against passing it, 4 % of a small network."""
        # The engine reads the array in place, so it is kept.
        self.image_BCHW = image_BCHW
        self.binding.bind_cpu_input(self.input_name, image_BCHW)

    def infer(self) -> None:
        """One inference."""
        self.session.run_with_iobinding(self.binding)

    def output(self) -> np.ndarray:
        """Output of the last inference."""
        return np.asarray(self.binding.copy_outputs_to_cpu()[0])


ENGINES = {"onnxruntime": OnnxRuntime}


class Worker:
    """State of the process: the engine, its networks and their fixed inputs."""

    def __init__(self) -> None:
        self.engine = OnnxRuntime
        self.models: dict[str, OnnxRuntime] = {}
        self.realtime = False
        self.timeout_s = 30.0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do one request."""
        steps: dict[str, Callable[..., dict[str, Any]]] = {
            "hello": self.hello,
            "load": self.load,
            "sample": self.sample,
            "run": self.run,
        }
        return steps[request.pop("do")](**request)

    def hello(self, engine: str, core: int | None, realtime: bool, timeout_s: float) -> dict[str, Any]:
        """Settle on a core, a priority and an engine; tell what they are."""
        self.engine = ENGINES[engine]
        self.timeout_s = timeout_s
        if core is not None:
            os.sched_setaffinity(0, [core])
        self.realtime = realtime and try_realtime(timeout_s)
        package: Any = importlib.import_module(self.engine.package)
        return {
            "engine": f"{engine} {package.__version__}, {self.engine.threads} thread",
            "cpu": cpu_model(),
            "machine": platform.machine(),
            "cores": os.cpu_count() or 1,
            "threads": self.engine.threads,
            "core": core,
            "realtime": self.realtime,
            "os": platform.platform(),
            "clock_step_ns": clock_step_ns(),
            "governor": first_line(f"/sys/devices/system/cpu/cpu{core or 0}/cpufreq/scaling_governor"),
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def load(self, model: str, path: str) -> dict[str, Any]:
        """Read a network's file."""
        self.models[model] = self.engine(path)
        return {}

    def sample(self, model: str, warm: int, runs: int) -> dict[str, Any]:
        """Time `runs` inferences after `warm` untimed ones, all in real time where that is granted."""
        infer = self.models[model].infer
        with priority(self.realtime):
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
        return {"wall_ns": wall_ns, "cpu_ns": cpu_ns}

    def run(self, model: str, shape: list[int], data: str) -> dict[str, Any]:
        """Output for a given input."""
        image_BCHW = np.frombuffer(base64.b64decode(data), dtype=np.float32).reshape(shape)
        loaded = self.models[model]
        timed_BCHW = loaded.image_BCHW
        loaded.bind(image_BCHW)
        loaded.infer()
        output = np.ascontiguousarray(loaded.output(), dtype=np.float32)
        loaded.bind(timed_BCHW)
        return {"shape": list(output.shape), "data": base64.b64encode(output.tobytes()).decode()}


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
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        limit_us = int(timeout_s * 1e6)
        resource.setrlimit(resource.RLIMIT_RTTIME, (limit_us, limit_us))
    except (OSError, ValueError):
        return False
    return True


def clock_step_ns() -> int:
    """Smallest step of the thread-CPU clock seen in a short spin."""
    steps = []
    for _ in range(20):
        before = after = time.thread_time_ns()
        while after == before:
            after = time.thread_time_ns()
        steps.append(after - before)
    return min(steps)


def cpu_model() -> str:
    """Name of the processor as the kernel tells it."""
    wanted = ("model name", "hardware", "model")
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
        pairs = [line.partition(":") for line in lines]
        found = {key.strip().lower(): value.strip() for key, _, value in reversed(pairs)}
        for key in wanted:
            if found.get(key):
                return found[key]
    return platform.processor() or platform.machine()


def first_line(path: str) -> str | None:
    """First line of a small system file, None where it cannot be read."""
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:  # noqa: PTH123
        return file.readline().strip()
    return None


def serve() -> None:
    """Answer requests until the input ends."""
    # Engines print to file descriptor 1 as they like; answers go to a copy of it and prints to standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    # Ctrl-C reaches the whole foreground group; the end of the input says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker = Worker()
    for line in sys.stdin:
        if hasattr(signal, "setitimer"):
            # Whoever asked may be gone while a network hangs: the default action of SIGALRM ends this process.
            signal.setitimer(signal.ITIMER_REAL, worker.timeout_s + 5.0)
        try:
            reply: dict[str, Any] = {"ok": worker.answer(json.loads(line))}
        except Exception as error:  # an engine may raise anything; it belongs to the one who asked
            reply = {"error": f"{type(error).__name__}: {error}"}
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    serve()
