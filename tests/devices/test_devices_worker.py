"""The engine's process and the side that asks it."""

from __future__ import annotations

import ast
import base64
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nasfit.devices import WorkerDied, WorkerProcess, WorkerRefused, WorkerTimeout, worker
from nasfit.errors import DeviceError


def talker(code: str) -> WorkerProcess:
    return WorkerProcess([sys.executable, "-c", code])


def test_worker_needs_only_standard_library_and_numpy() -> None:
    tree = ast.parse(Path(worker.__file__).read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - sys.stdlib_module_names == {"numpy"}


def test_worker_runs_alone_and_ends_with_its_input(tmp_path: Path) -> None:
    alone = tmp_path / "pushed.py"
    alone.write_text(Path(worker.__file__).read_text())
    hello = '{"do": "hello", "engine": "onnxruntime", "core": null, "realtime": false, "timeout_s": 5}\n'
    done = subprocess.run(
        [sys.executable, "-I", str(alone)], input=hello, capture_output=True, text=True, timeout=30, cwd=tmp_path
    )
    assert done.returncode == 0
    assert done.stdout.startswith('{"ok": {"engine": "onnxruntime')


def test_input_of_a_run_is_not_timed_afterwards(doubling_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(doubling_bytes)
    process = worker.Worker()
    process.load("a", str(path))
    timed_BCHW = process.models["a"].image_BCHW
    zeros = base64.b64encode(np.zeros((1, 3, 8, 8), np.float32).tobytes()).decode()
    process.run("a", [1, 3, 8, 8], zeros)
    assert process.models["a"].image_BCHW is timed_BCHW


def test_devices_load_no_torch() -> None:
    code = "import sys, nasfit.devices, nasfit.latency; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_refusal_leaves_the_process_well() -> None:
    process = WorkerProcess([sys.executable, "-P", worker.__file__])
    try:
        for _ in range(2):
            with pytest.raises(WorkerRefused, match="KeyError: 'dance'"):
                process.ask({"do": "dance"}, 30)
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
