import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from worker_jobs import gone, state

HERE = str(Path(__file__).parent)


@pytest.mark.parametrize("work", ["sleep", "stubborn"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_worker_outlives_its_parent(how, work):
    # A worker in `stubborn` holds the interpreter's lock, so that no Python code of it can notice anything.
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import worker_jobs; worker_jobs.drive({work!r})"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    time.sleep(0.3)
    assert len(pids) == 2 and not any(gone(pid) for pid in pids)
    # As the terminal does for Ctrl-C: to the whole group.
    os.killpg(parent.pid, how)
    parent.wait(timeout=10)
    since = time.monotonic()
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() - since < 5, "workers live on"
        time.sleep(0.01)
    parent.stdout.close()


def test_a_paused_worker_does_not_outlive_its_parent():
    parent = subprocess.Popen(
        [sys.executable, "-c", "import worker_jobs; worker_jobs.drive('pause')"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *filter(None, sys.path)])},
        stdout=subprocess.PIPE,
        text=True,
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    while not all(state(pid) == "T" for pid in pids):
        time.sleep(0.01)
    parent.kill()
    parent.wait(timeout=10)
    since = time.monotonic()
    while not all(gone(pid) for pid in pids):
        assert time.monotonic() - since < 5, "workers live on"
        time.sleep(0.01)
    parent.stdout.close()


def test_an_unguarded_script_can_use_a_pool(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import worker_jobs\n"
        "from nasfit.workers import Pool\n"
        "print('once')\n"
        "with Pool(2) as pool:\n"
        "    print(sorted(pool.run(worker_jobs.square, [1, 2, 3])))\n"
        "    try:\n"
        "        pool.run(exec_here := (lambda: 1), [])\n"
        "    except ValueError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[:2] == ["once", "[(0, 1), (1, 4), (2, 9)]"]
    assert "top level of a module" in done.stdout
