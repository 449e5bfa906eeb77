"""Networks on a phone, each run by a `benchmark_model` process of its own."""

from __future__ import annotations

import contextlib
import itertools
import secrets
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from nasfit.devices.adb_binary import Binary
from nasfit.devices.adb_link import Link, PhoneTimeout
from nasfit.devices.adb_report import NetworkFault, Report, benchmark_command, last_words, read_report
from nasfit.devices.adb_state import HEAT_COMMANDS, PhoneState, question, read_state, sections, state_commands
from nasfit.devices.device import Sample, State
from nasfit.errors import DeviceError, DeviceGone, TrialFailure, UnknownNameError, UsageError

FOLDER = "/data/local/tmp/nasfit"
_STEP_TIMEOUT_S = 20.0
_PUSH_TIMEOUT_S = 120.0
_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Settings:
    """How networks are run. cores: those the process may use; timeout_s: of one call of `benchmark_model`.

    hot_c: battery temperature above which the phone is left to cool; wait_s: for how long at most; poll_s: how often it
    is looked at meanwhile.
    """

    cores: tuple[int, ...]
    threads: int
    timeout_s: float
    hot_c: float
    wait_s: float
    poll_s: float

    @property
    def mask(self) -> int:
        """The cores as `taskset` takes them."""
        return sum(1 << core for core in self.cores)


class AdbSession:
    """See `Session`. It goes on after the phone was away: what the phone lost is pushed again."""

    def __init__(self, link: Link, binary: Binary, settings: Settings, sleep: Callable[[float], None]) -> None:
        self._link = link
        self._binary = binary
        self._settings = settings
        self._sleep = sleep
        self._folder = f"{FOLDER}/session-{secrets.token_hex(4)}"
        self._models: dict[str, bytes] = {}
        self._paths: dict[str, str] = {}
        self._numbers = itertools.count()
        self._failed: dict[str, str] = {}
        self._pushed: set[str] = set()
        self._prepared = False
        self._wait_left_s = settings.wait_s
        # What the way there and back may take on top of the network's own time.
        self.grace_s = 5.0
        self._hot_sample: str | None = None
        self._prepare()

    def load(self, model: str, model_bytes: bytes) -> None:
        """See `Session.load`; runs it once, so that a file that is no network fails here."""
        if model in self._models:
            raise UsageError(f"a network named {model!r} is already loaded; give each its own name")
        self._models[model] = model_bytes
        self._paths[model] = f"{self._folder}/{next(self._numbers)}.tflite"
        try:
            self._benchmark(model, ["--warmup_runs=0", "--num_runs=1"])
        except DeviceError:
            # The network is not to blame; whoever waits for the phone to come back may load it again.
            del self._models[model]
            raise

    def sample(self, model: str, *, warm: int, runs: int) -> Sample:
        """See `Session.sample`; waits first while the phone is hot. The phone tells no CPU time."""
        self._known(model)
        self._let_cool()
        report = self._benchmark(model, [f"--warmup_runs={warm}", f"--num_runs={runs}"])
        if report.runs != runs:
            raise self._fail(model, f"{report.runs} of {runs} runs within {self._settings.timeout_s:g} s")
        return Sample(wall_ms=report.mean_ms, cpu_ms=None, runs=runs)

    def run(self, model: str, input_BCHW: np.ndarray) -> np.ndarray:
        """See `Session.run`; all outputs of the network one after the other, (1, K)."""
        if len(input_BCHW) != 1:
            # benchmark_model would resize the network to this batch and succeed.
            raise TrialFailure(f"input of shape {input_BCHW.shape}; networks on a phone take batch 1")
        image_BHWC = np.ascontiguousarray(input_BCHW.transpose(0, 2, 3, 1), dtype=np.float32)
        given, told = f"{self._folder}/input", f"{self._folder}/output"
        self._known(model)
        self._prepare()
        self._quick(f"rm -f {told}")
        self._housekeeping(lambda: self._link.push(image_BHWC.tobytes(), given, _PUSH_TIMEOUT_S))
        arguments = [
            "--warmup_runs=0",
            "--num_runs=1",
            "--input_layer=image",
            f"--input_layer_shape={','.join(map(str, image_BHWC.shape))}",
            f"--input_layer_value_files=image:{given}",
            f"--output_filepath={told}",
        ]
        try:
            self._run_twice(model, arguments)
        except NetworkFault as fault:
            # Perhaps it is the input that does not fit, so the network is not marked as failed.
            raise TrialFailure(f"the network cannot be run on the phone: {fault}") from fault
        content = self._housekeeping(lambda: self._link.pull(told, _STEP_TIMEOUT_S))
        if content is None or len(content) % 4:
            raise DeviceError(
                "benchmark_model wrote no output of the network; it is older than its option --output_filepath: "
                "download a newer one (see docs/how-to/phone-over-adb.md)"
            )
        return np.frombuffer(content, dtype=np.float32).reshape(1, -1).copy()

    def state(self) -> State:
        """See `Session.state`. throttled also tells of a sample since the last call that had to be taken hot."""
        now = self.phone_state()
        hot, self._hot_sample = self._hot_sample or now.heat(self._settings.hot_c), None
        return State(
            load_average=now.load_average,
            temperature_c=now.battery_c if now.processor_c is None else now.processor_c,
            clock_mhz=now.clock_mhz,
            throttled=hot,
        )

    def phone_state(self) -> PhoneState:
        """All that the phone tells of its state."""
        self._prepare()
        return read_state(self._quick(question(state_commands(self._settings.cores[0]))))

    def report(self, model: str, arguments: Sequence[str]) -> Report:
        """Run it with further arguments for `benchmark_model`."""
        self._known(model)
        return self._benchmark(model, arguments)

    def command(self, model: str, arguments: Sequence[str]) -> str:
        """The line for the phone's shell that runs it; the network is on the phone afterwards."""
        self._prepare()
        path = self._push_model(model)
        fixed = [
            f"--graph={path}",
            f"--num_threads={self._settings.threads}",
            "--use_xnnpack=true",
            "--min_secs=0",
            "--warmup_min_secs=0",
            f"--max_secs={self._settings.timeout_s:g}",
        ]
        return benchmark_command(
            self._binary_path(), [*fixed, *arguments], mask=self._settings.mask, pid_file=self._pid_file()
        )

    def require_runnable(self) -> None:
        """Does `benchmark_model` start at all? Raises DeviceError with what the phone says where it does not."""
        self._prepare()
        line = benchmark_command(self._binary_path(), ["--help"], mask=self._settings.mask, pid_file=self._pid_file())
        code, text = self._housekeeping(lambda: self._link.shell(line, _STEP_TIMEOUT_S))
        # Asked for help it prints its options and ends with a failure.
        if "num_runs" in text:
            return
        with contextlib.suppress(NetworkFault):
            read_report(code, text)
        raise DeviceError(f"benchmark_model does not start on the phone: exit code {code}, {last_words(text)!r}")

    def close(self) -> bool:
        """Remove this session's folder from the phone, the binary stays. False where the phone is out of reach."""
        return remove_folder(self._link, self._folder)

    @property
    def folder(self) -> str:
        """This session's folder on the phone."""
        return self._folder

    # --- one network -------------------------------------------------------------------------------------------------

    def _known(self, model: str) -> None:
        if model not in self._models:
            raise UnknownNameError("network", model, self._models)
        if model in self._failed:
            raise TrialFailure(self._failed[model])

    def _benchmark(self, model: str, arguments: Sequence[str]) -> Report:
        try:
            return self._run_twice(model, arguments)
        except NetworkFault as fault:
            raise self._fail(model, str(fault)) from fault

    def _run_twice(self, model: str, arguments: Sequence[str]) -> Report:
        """A process may also be ended from outside, so its death is held against the network only the second time."""
        try:
            return self._run_once(model, arguments)
        except NetworkFault as fault:
            if fault.certain:
                raise
        return self._run_once(model, arguments)

    def _run_once(self, model: str, arguments: Sequence[str]) -> Report:
        command = self.command(model, arguments)
        try:
            code, text = self._away_noticed(lambda: self._link.shell(command, self._settings.timeout_s + self.grace_s))
        except PhoneTimeout as error:
            # If the phone still ends a process, it is the network that hangs.
            self._quick(_kill(self._pid_file()))
            raise NetworkFault(f"no end within {self._settings.timeout_s:g} s", certain=True) from error
        return read_report(code, text)

    def _fail(self, model: str, reason: str) -> TrialFailure:
        self._failed[model] = f"the network cannot be run on the phone: {reason}"
        return TrialFailure(self._failed[model])

    def _push_model(self, model: str) -> str:
        path = self._paths[model]
        if model not in self._pushed:
            self._housekeeping(lambda: self._link.push(self._models[model], path, _PUSH_TIMEOUT_S))
            self._pushed.add(model)
        return path

    # --- the phone ---------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Folder and binary on the phone, again after it was away."""
        if self._prepared:
            return
        self._housekeeping(self._link.check)
        commands = {
            "started": "getprop sys.boot_completed",
            "folder": f"mkdir -p {self._folder} && echo made",
            "binary": f"test -x {self._binary_path()} && echo there",
        }
        told = sections(self._quick(question(commands)))
        if told.get("started") != "1":
            raise DeviceGone(f"phone {self._link.serial} is still starting")
        if told.get("folder") != "made":
            raise DeviceError(f"phone {self._link.serial} cannot make {self._folder}; is its storage full?")
        if told.get("binary") != "there":
            self._push_binary()
        self._pushed.clear()
        self._prepared = True

    def _push_binary(self) -> None:
        # Under its final name only when it is whole: a cut connection must not leave half a program behind.
        part = f"{self._folder}/benchmark_model"
        self._housekeeping(lambda: self._link.push(self._binary.content, part, _PUSH_TIMEOUT_S, 0o755))
        self._quick(f"chmod 755 {part} && mv {part} {self._binary_path()}")

    def _binary_path(self) -> str:
        return f"{FOLDER}/benchmark_model-{self._binary.sha256[:16]}"

    def _pid_file(self) -> str:
        return f"{self._folder}/pid"

    def _let_cool(self) -> None:
        """Wait while the phone is hot; when the time for that is used up, mark the sample as taken hot."""
        self._prepare()
        # Asked before every sample, so only what matters: the rest of the state costs as much again.
        while hot := read_state(self._quick(question(HEAT_COMMANDS))).heat(self._settings.hot_c):
            if self._wait_left_s <= 0:
                self._hot_sample = f"{hot}, after waiting {self._settings.wait_s:g} s for the phone to cool down"
                return
            pause_s = min(self._settings.poll_s, self._wait_left_s)
            started = time.monotonic()
            self._sleep(pause_s)
            self._wait_left_s -= max(pause_s, time.monotonic() - started)
        self._wait_left_s = self._settings.wait_s

    def _quick(self, line: str) -> str:
        return self._housekeeping(lambda: self._link.shell(line, _STEP_TIMEOUT_S))[1]

    def _housekeeping(self, step: Callable[[], _Answer]) -> _Answer:
        """A step that no network can hold up: silence means that the phone is away."""
        try:
            return self._away_noticed(step)
        except PhoneTimeout as error:
            self._prepared = False
            raise DeviceGone(f"phone {self._link.serial} does not answer: {error}") from error

    def _away_noticed(self, step: Callable[[], _Answer]) -> _Answer:
        try:
            return step()
        except DeviceGone:
            self._prepared = False
            raise


def remove_folder(link: Link, folder: str) -> bool:
    """End what a session left running and remove its folder. False where the phone is out of reach."""
    with contextlib.suppress(DeviceError):
        link.shell(f"{_kill(f'{folder}/pid')}; rm -rf {shlex.quote(folder)}", _STEP_TIMEOUT_S)
        return True
    return False


def _kill(pid_file: str) -> str:
    return f"kill -9 $(cat {shlex.quote(pid_file)} 2>/dev/null) 2>/dev/null; true"
