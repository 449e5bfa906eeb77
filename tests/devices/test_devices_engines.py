"""Every engine that is installed: contract, failures in its own words, one thread that is the calling one."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ssh_server import needs_sshd, running_board
from tiny_networks import doubling_ncnn, doubling_onnx, doubling_tflite, two_inputs_onnx

from nasfit.devices import ENGINES, check_device, engine_named, open_device, worker_engines
from nasfit.devices.engines import not_installed, runtime_code
from nasfit.devices.ssh import SshDevice
from nasfit.errors import DeviceError, ExtensionError, MissingExtraError, TrialFailure, UnknownNameError


def doubling_pte(shape: tuple[int, ...] = (1, 3, 8, 8)) -> bytes:
    """image -> 2 * image; ExecuTorch itself cannot do without torch."""
    from nasfit.export import Program, write_executorch
    from nasfit.export.program import Binary

    return write_executorch(
        Program("image", ("logits",), (Binary("add", ("image", "image"), "logits"),), {"image": shape[1:]})
    )


WRITTEN: dict[str, Callable[..., bytes]] = {
    "tflite": doubling_tflite,
    "onnx": doubling_onnx,
    "ncnn": doubling_ncnn,
    "pte": cache(doubling_pte),
}
HERE = [name for name, engine in ENGINES.items() if importlib.util.find_spec(engine.module) is not None]
TESTED = [name for name in HERE if ENGINES[name].model_format in WRITTEN]


def doubling(engine: str) -> bytes:
    return WRITTEN[ENGINES[engine].model_format]()


@pytest.mark.parametrize("engine", TESTED)
def test_keeps_the_contract(engine: str, image_BCHW: np.ndarray) -> None:
    device = open_device("local", engine=engine)
    check_device(device, doubling(engine), image_BCHW, 2 * image_BCHW)
    assert device.model_format == ENGINES[engine].model_format


def test_registry_and_worker_know_the_same_engines() -> None:
    assert ENGINES.keys() == worker_engines.ENGINES.keys()
    for name, engine in ENGINES.items():
        assert worker_engines.ENGINES[name].modules[0].split(".")[0] == engine.module


def test_core_engines_are_installed() -> None:
    assert {name for name, engine in ENGINES.items() if engine.extra is None} <= set(HERE)


@pytest.mark.parametrize("engine", TESTED)
def test_version_and_threads_are_told(engine: str) -> None:
    told = open_device("local", engine=engine).describe().engine
    assert told.startswith(f"{engine} ") and told.endswith(", 1 thread")
    assert told.split()[1][0].isdigit()


@pytest.mark.parametrize("engine", TESTED)
def test_one_thread_computes_in_the_calling_thread(engine: str, tmp_path: Path) -> None:
    # Thread CPU time is the headline's clock, so an engine that computes in a thread of its own must not pass for free.
    path = tmp_path / "net"
    path.write_bytes(
        WRITTEN[ENGINES[engine].model_format]((1, 256, 256, 3) if engine == "litert" else (1, 3, 256, 256))
    )
    net = worker_engines.ENGINES[engine](str(path), 1)
    image = np.zeros(net.input_shape, np.float32)
    net.bind(image)
    net.infer()
    thread_ns, process_ns = time.thread_time_ns(), time.process_time_ns()
    for _ in range(200):
        net.infer()
    thread_ns, process_ns = time.thread_time_ns() - thread_ns, time.process_time_ns() - process_ns
    assert thread_ns > 0.7 * process_ns


@pytest.mark.parametrize("engine", TESTED)
def test_threads_asked_for_are_told(engine: str) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core")
    with open_device("local", engine=engine, threads=2).open() as session:
        session.load("a", doubling(engine))
        assert session.sample("a", warm=1, runs=2).wall_ms > 0
        description = session.description  # type: ignore[attr-defined]
    assert (description.threads, description.core, description.realtime) == (2, None, False)
    assert description.engine.endswith(", 2 threads")


@pytest.mark.parametrize("threads", [1, 2])
def test_engines_get_their_number_of_threads(threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ai_edge_litert import interpreter

    given: list[int] = []
    real = interpreter.Interpreter

    def recorded(model_path: str, num_threads: int) -> interpreter.Interpreter:
        given.append(num_threads)
        return real(model_path, num_threads=num_threads)

    monkeypatch.setattr(interpreter, "Interpreter", recorded)
    nets = {}
    for engine in set(TESTED) & {"litert", "onnxruntime", "openvino"}:
        path = tmp_path / engine
        path.write_bytes(doubling(engine))
        nets[engine] = worker_engines.ENGINES[engine](str(path), threads)
    assert given == [threads]
    assert nets["onnxruntime"].session.get_session_options().intra_op_num_threads == threads
    if "openvino" in nets:
        told = nets["openvino"].request.get_compiled_model()
        assert told.get_property("INFERENCE_NUM_THREADS") == min(threads, len(os.sched_getaffinity(0)))
        assert told.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


def test_ncnn_computes_in_float32(tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    path = tmp_path / "net"
    path.write_bytes(doubling_ncnn())
    options = worker_engines.Ncnn(str(path), 2).net.opt
    assert options.num_threads == 2
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        assert not getattr(options, name)


def test_executorch_gets_its_number_of_threads(tmp_path: Path) -> None:
    library = pytest.importorskip("executorch.extension.pybindings.portable_lib", reason="ExecuTorch is not installed")
    path = tmp_path / "net"
    path.write_bytes(WRITTEN["pte"]())
    for threads in (2, 1):
        worker_engines.ExecuTorch(str(path), threads)
        assert library._threadpool_get_thread_count() == threads


def test_ncnn_tells_what_it_cannot_do(image_BCHW: np.ndarray) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    cut = doubling_ncnn(kind="InnerProduct")  # whose weights are not there
    with open_device("local", engine="ncnn").open() as session:
        for name, content in (("kind", doubling_ncnn(kind="NoSuchOp")), ("cut", cut)):
            with pytest.raises(TrialFailure, match="ncnn cannot read or compute its"):
                session.load(name, content)


def test_telemetry_is_off_before_an_engine_is_imported(
    change_worker: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    change_worker(before="worker.engine_version = lambda modules: 'off: ' + os.environ['ORT_DISABLE_TELEMETRY']")
    assert open_device("local", engine="onnxruntime").describe().engine == "onnxruntime off: 1, 1 thread"


def test_operator_that_no_engine_has() -> None:
    for engine, content in (
        ("litert", doubling_tflite(custom="NoSuchOp")),
        ("onnxruntime", doubling_onnx(kind="NoSuchOp")),
    ):
        with open_device("local", engine=engine).open() as session, pytest.raises(TrialFailure, match="NoSuchOp"):
            session.load("a", content)


@pytest.mark.parametrize("engine", TESTED)
def test_wrong_shape_is_told_and_costs_nothing(engine: str, image_BCHW: np.ndarray) -> None:
    with open_device("local", engine=engine).open() as session:
        session.load("a", doubling(engine))
        for wrong in (image_BCHW[:, :, :7], image_BCHW[0], np.concatenate([image_BCHW] * 2)):
            with pytest.raises(TrialFailure, match=r"the network takes \[1, 3, 8, 8\]"):
                session.run("a", wrong)
        np.testing.assert_array_equal(session.run("a", image_BCHW), 2 * image_BCHW)


@pytest.mark.parametrize(
    ("engine", "content"), [("litert", doubling_tflite((4, 8, 8, 3))), ("onnxruntime", doubling_onnx((4, 3, 8, 8)))]
)
def test_batch_other_than_one_is_refused(engine: str, content: bytes) -> None:
    with open_device("local", engine=engine).open() as session, pytest.raises(TrialFailure, match="a batch of 4"):
        session.load("a", content)


def test_network_of_two_inputs_is_refused() -> None:
    with open_device("local", engine="onnxruntime").open() as session:
        with pytest.raises(TrialFailure, match=r"inputs are a \(float32\), b \(float32\)"):
            session.load("a", two_inputs_onnx())
        with pytest.raises(TrialFailure, match="its file is empty"):
            session.load("b", b"")


def test_engine_that_is_not_installed() -> None:
    assert isinstance(not_installed(engine_named("openvino"), "local"), MissingExtraError)
    assert "pip install 'nasfit[openvino]'" in str(not_installed(engine_named("openvino"), "local"))
    assert "pip install ai-edge-litert" in str(not_installed(engine_named("litert"), "local"))
    board = not_installed(engine_named("openvino"), "ssh://board")
    assert isinstance(board, DeviceError) and "install it there" in str(board) and "ssh://board" in str(board)
    with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
        engine_named("onnx-runtime")


@pytest.mark.parametrize(
    ("engine", "error", "text"),
    [
        ("onnxruntime", DeviceError, "not installed; install it with: pip install onnxruntime"),
        ("openvino", MissingExtraError, r"nasfit\[openvino\]"),
    ],
)
def test_missing_engine_is_noticed_at_the_start(
    engine: str, error: type[Exception], text: str, change_worker: Callable[..., None]
) -> None:
    change_worker(before=f"sys.modules[{engine!r}] = None")
    with pytest.raises(error, match=text):
        open_device("local", engine=engine).describe()


def test_older_name_of_litert_is_found(change_worker: Callable[..., None]) -> None:
    change_worker(
        before="import ai_edge_litert, ai_edge_litert.interpreter as i\n"
        "sys.modules.update({'tflite_runtime': ai_edge_litert, 'tflite_runtime.interpreter': i})\n"
        "sys.modules['ai_edge_litert'] = None\n"
        "ai_edge_litert.__spec__.name = 'tflite_runtime'; ai_edge_litert.__version__ = '2.14.0'"
    )
    with open_device("local").open() as session:
        assert session.description.engine == "litert 2.14.0, 1 thread"  # type: ignore[attr-defined]
        session.load("a", doubling_tflite())
        assert session.sample("a", warm=0, runs=1).wall_ms > 0


def test_broken_engine_is_not_called_missing(change_worker: Callable[..., None]) -> None:
    change_worker(before="import onnxruntime\nsys.modules['ai_edge_litert.interpreter'] = None")
    with pytest.raises(DeviceError, match=r"does not import.*pip install --upgrade ai-edge-litert"):
        open_device("local").describe()


ADDED = """
from nasfit.devices.engines import Engine
from a_runtime import Doubler

ENGINE = Engine("doubler", "numpy", "numpy", "onnx", ("fp32",), runtime=Doubler)
"""
RUNTIME = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np

@dataclass
class Doubler:
    path: str
    threads: int
    modules = ("numpy",)

    def __post_init__(self) -> None:
        with open(self.path, "rb") as file:
            if file.read() != b"double":
                raise ValueError("no network of mine")
        self.inputs, self.input_shape = [("image", "float32")], [1, 3, 8, 8]

    def bind(self, image_BCHW: np.ndarray) -> None:
        self.image_BCHW = image_BCHW

    def infer(self) -> None:
        self.made = 2 * self.image_BCHW

    def output(self) -> np.ndarray:
        return self.made
"""


@pytest.fixture
def doubler(add_package: Callable[..., None]) -> str:
    """Name of an engine that another package adds; it reads the file `double`."""
    add_package(RUNTIME, group="unused", package="a-runtime")
    add_package(ADDED, group="nasfit.engines", package="an-engine", doubler="an_engine:ENGINE")
    return "doubler"


def test_an_engine_of_a_package_keeps_the_contract(doubler: str, image_BCHW: np.ndarray) -> None:
    device = open_device("local", engine=doubler)
    check_device(device, b"double", image_BCHW, 2 * image_BCHW)
    assert device.model_format == "onnx" and device.describe().engine.startswith(f"doubler {np.__version__}")
    with device.open() as session, pytest.raises(TrialFailure, match="ValueError: no network of mine"):
        session.load("a", b"triple")


@needs_sshd
def test_an_engine_of_a_package_runs_on_a_board_that_lacks_the_package(doubler: str, image_BCHW: np.ndarray) -> None:
    with running_board() as board:
        device = SshDevice(board.name, engine=doubler, timeout_s=10)
        check_device(device, b"double", image_BCHW, 2 * image_BCHW)


@pytest.mark.parametrize(
    ("text", "words"),
    [("import no_such_module", "No module named 'no_such_module'"), ("x = 1", "no attribute 'Doubler'")],
)
def test_code_of_an_engine_that_fails_in_its_process_is_told(
    text: str, words: str, doubler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasfit.devices.session.runtime_code", lambda _: {"code": text, "class_name": "Doubler"})
    with pytest.raises(DeviceError, match=f"engine 'doubler' does not start on local: the engine's own code.*{words}"):
        open_device("local", engine=doubler).describe()


SOURCELESS = """
from nasfit.devices.engines import Engine

ENGINE = Engine("odd", "numpy", "numpy", "onnx", ("fp32",), runtime=type("Odd", (), {"__module__": "builtins"}))
"""


def test_an_engine_without_a_source_file_is_told(add_package: Callable[..., None]) -> None:
    add_package(SOURCELESS, group="nasfit.engines", odd="other_parts:ENGINE")
    with pytest.raises(ExtensionError, match=r"engine 'odd' of package other-parts .* has no source file to send"):
        runtime_code(engine_named("odd"))
