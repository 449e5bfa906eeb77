"""The engine's process and the side that asks it."""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nasfit.devices import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout, worker
from nasfit.errors import DeviceError, DeviceGone


def talker(code: str) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-c", code])


@pytest.mark.parametrize("name", worker.FILES)
def test_worker_needs_only_standard_library_and_numpy(name: str) -> None:
    tree = ast.parse(Path(worker.__file__).with_name(name).read_text(), feature_version=(3, 8))
    checked = [
        node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    unused = {part for node in checked for statement in node.body for part in ast.walk(statement)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and node not in unused]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names <= {"numpy"}


def test_worker_runs_alone_and_ends_with_its_input(tmp_path: Path) -> None:
    for name in worker.FILES:
        (tmp_path / name).write_text(Path(worker.__file__).with_name(name).read_text())
    hello = '{"do": "hello", "engine": "litert", "core": null, "realtime": false, "threads": 1, "timeout_s": 5}\n'
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "worker.py")],
        input=hello,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
    )
    assert done.returncode == 0
    assert done.stdout.startswith('{"ok": {"engine": "litert')


def loaded(content: bytes) -> worker.Worker:
    process = worker.Worker()
    process.engine = worker.engines.ENGINES["onnxruntime"]
    with worker.received(io.BytesIO(content), len(content), lambda: None) as file:
        process.load("a", file)
    return process


def test_input_of_a_run_is_not_timed_afterwards(doubling_bytes: bytes) -> None:
    process = loaded(doubling_bytes)
    timed_BCHW = process.models["a"].timed_BCHW
    zeros = base64.b64encode(np.zeros((1, 3, 8, 8), np.float32).tobytes()).decode()
    process.run("a", [1, 3, 8, 8], zeros)
    assert process.models["a"].net.image_BCHW is timed_BCHW


def test_probe_runs_just_before_the_sample(doubling_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    process = loaded(doubling_bytes)
    told = process.sample("a", warm=0, runs=1)
    assert told["probe_ns"] > 0 and process.probe is not None
    order: list[str] = []
    monkeypatch.setattr(process.probe, "time_ns", lambda: order.append("probe") or 5)
    monkeypatch.setattr(process.models["a"].net, "infer", lambda: order.append("infer"))
    assert process.sample("a", warm=1, runs=2)["probe_ns"] == 5
    assert order == ["probe", "infer", "infer", "infer"]


def test_probe_reads_memory_of_its_own() -> None:
    probe = worker.Probe()
    assert probe.memory.nbytes == 24_000_000
    assert len(np.unique(probe.memory[::4096])) > 1000  # pages of zeros would all be one page
    probe.time_ns()
    np.testing.assert_array_equal(probe.out, probe.memory[probe.places])


def test_devices_load_no_torch() -> None:
    code = "import sys, nasfit.devices, nasfit.latency; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_refusal_leaves_the_process_well() -> None:
    process = WorkerProcess([sys.executable, "-P", worker.__file__])
    try:
        for _ in range(2):
            with pytest.raises(WorkerRefused, match="no step 'dance'; there are hello, load") as refused:
                process.ask({"do": "dance"}, 30)
            assert refused.value.kind == "usage"
    finally:
        process.close()


def test_silence_is_a_timeout_and_ends_the_process() -> None:
    process = talker("import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"0\.3 s"):
        process.ask({}, 0.3)
    process.close()
    assert time.monotonic() - began < 5


def test_death_tells_code_and_last_words() -> None:
    process = talker("import sys; input(); sys.exit('out of luck')")
    with pytest.raises(WorkerDied, match=r"exit code 1: out of luck"):
        process.ask({}, 30)
    process.close()
    process.close()


def test_answer_in_pieces_is_put_together() -> None:
    process = talker(
        'import sys, time\nfor line in sys.stdin:\n for c in \'{"ok": {"a": 1}}\\n\':\n'
        "  sys.stdout.write(c); sys.stdout.flush(); time.sleep(0.005)"
    )
    assert process.ask({}, 30) == {"a": 1}
    assert process.ask({}, 30) == {"a": 1}
    process.close()


def test_command_that_is_not_there() -> None:
    with pytest.raises(DeviceError, match="cannot start"):
        WorkerProcess(["/nonexistent/python"])


def test_content_that_is_not_taken_is_a_timeout() -> None:
    process = talker("import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"nothing taken of a request within 0\.3 s"):
        process.ask({}, 0.3, bytes(10_000_000))
    process.close()
    assert time.monotonic() - began < 5


def test_content_arrives_whole_and_the_next_request_after_it() -> None:
    process = talker(
        "import hashlib, json, sys\nfor line in sys.stdin.buffer:\n"
        " data = sys.stdin.buffer.read(json.loads(line).get('bytes', 0))\n"
        " print(json.dumps({'ok': {'md5': hashlib.md5(data).hexdigest()}}), flush=True)"
    )
    content = np.random.default_rng(0).bytes(3_000_001)
    assert process.ask({"do": "load"}, 30, content) == {"md5": hashlib.md5(content).hexdigest()}
    assert process.ask({"do": "state"}, 30) == {"md5": hashlib.md5(b"").hexdigest()}
    process.close()


def test_death_while_content_is_sent() -> None:
    process = talker("import sys; input(); sys.exit('no more room')")
    with pytest.raises(WorkerDied, match="exit code 1: no more room"):
        process.ask({}, 30, bytes(10_000_000))
    process.close()


def test_input_that_ends_within_a_file_ends_the_worker() -> None:
    script = [sys.executable, "-P", worker.__file__]
    done = subprocess.run(
        script, input=b'{"do": "load", "model": "a", "bytes": 9}\nabc', capture_output=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, b"")


def test_worker_whose_asker_is_gone_does_not_hang_on(tmp_path: Path) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(
        f"import sys, time; sys.path.insert(0, {str(Path(worker.__file__).parent)!r})\nimport worker\n"
        "worker.Worker.state = lambda self: time.sleep(60)\n"
        "real = worker.alarm\nworker.alarm = lambda seconds: real(seconds and 0.3)\nworker.serve()"
    )
    done = subprocess.run([sys.executable, str(script)], input=b'{"do": "state"}\n', capture_output=True, timeout=30)
    assert done.returncode == -signal.SIGALRM


def test_someone_else_talking_on_the_line_is_told() -> None:
    process = talker("input(); print('Welcome to the board'); input()")
    with pytest.raises(DeviceError, match=r"Welcome to the board.*start-up file of the shell"):
        process.ask({}, 30)
    process.close()


def test_end_of_the_process_can_mean_something_else() -> None:
    code = "import sys; input(); print('Connection reset', file=sys.stderr); sys.exit(255)"
    seen: list[tuple[int, str]] = []

    def ended(code: int, said: str) -> DeviceError | None:
        seen.append((code, said))
        return DeviceGone("cut") if code == 255 else None

    process = WorkerProcess([sys.executable, "-c", code], ended=ended)
    with pytest.raises(DeviceGone, match="cut"):
        process.ask({}, 30)
    assert seen == [(255, "Connection reset")]
    process.close()
