"""What a Ray cluster costs: joining it, a call on it, and losing a process or a machine of it.

    python benchmarks/cluster.py                 # a minute or two
    python benchmarks/cluster.py --quick --json  # fewer calls, no lost machine

A cluster of three nodes on this machine, one processor each, and beside it the pool of two processes that a search has
without Ray. Printed: seconds to join (connecting, asking for the version of nasfit there) and to start the pool;
milliseconds that a call takes that does nothing; seconds until a large value (--megabytes) has been used once on all
nodes; and how much later a call of --nap-s seconds is done whose process, or whose machine, is killed while it is at
work, than one that begins at that moment and is left alone.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from facts import document

from nasfit.workers import Pool, RayPool

REPEATS = 3
STORE_BYTES = 500_000_000  # of values, on each node


@dataclass(frozen=True)
class Who:
    """Who has a call."""

    pid: str
    node: str


class Plain:
    """Calls travel as they are."""

    def packed(self, payload: Any) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A payload is a function and its arguments."""
        return payload[0], payload[1:]

    def unpacked(self, payload: Any, result: Any) -> Any:
        """The result itself."""
        return result


def main() -> None:
    """Starts a cluster, measures, prints."""
    options = _options()
    if find_spec("ray") is None:
        sys.exit("error: Ray is not installed: pip install 'nasfit[ray]'")
    with redirect_stdout(sys.stderr) if options.json else nullcontext(), _cluster() as cluster:
        found = _measured(options, cluster)
    if options.json:
        print(document(options, installed={"ray": version("ray")}, **found))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--megabytes", type=int, default=150)
    parser.add_argument("--nap-s", type=float, default=2.0)
    parser.add_argument("--quick", action="store_true", help="40 calls, 20 MB, nothing killed but one process")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON, the lines to stderr")
    options = parser.parse_args()
    if options.quick:
        options.calls, options.megabytes, options.nap_s = 40, 20, 0.5
    return options


@contextmanager
def _cluster() -> Iterator[Any]:
    """Three nodes; the driver belongs to the first."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(**node)
        cluster.add_node(**node)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def _measured(options: argparse.Namespace, cluster: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def told(what: str, value: float, unit: str) -> None:
        found[f"{what.replace(' ', '_')}_{unit}"] = value
        print(f"{what:<48}{value:>9.2f} {unit}", flush=True)

    since = time.perf_counter()
    with Pool(2) as local:
        told("pool of two processes started", time.perf_counter() - since, "s")
        told("call on the pool", _call_ms(local, options.calls, abs), "ms")
    since = time.perf_counter()
    with closing(RayPool(cluster.address)) as pool:
        pool.packs(Plain())
        told("cluster joined", time.perf_counter() - since, "s")
        told("call on the cluster", _call_ms(pool, options.calls, (abs, 0)), "ms")
        since = time.perf_counter()
        blob = pool.put(os.urandom(options.megabytes * 1_000_000))
        _done(pool, [(_long, blob), (_long, blob), (_long, blob)])
        told(f"{options.megabytes} MB used on all nodes", time.perf_counter() - since, "s")
        told("late for a killed process", _late_s(options, pool, _kill_process), "s")
        if not options.quick:
            told("late for a killed machine", _late_s(options, pool, _machine_killer(cluster), times=1), "s")
    return found


def _call_ms(pool: Any, number: int, payload: Any) -> float:
    """A call that does nothing, while all workers are kept at work; the first ones, slower, left out."""
    for calls in (8, number):
        since = time.perf_counter()
        begun = ended = 0
        while ended < calls:
            while begun < calls and pool.free:
                arguments = (abs, 0) if isinstance(pool, Pool) else (None, payload)
                pool.start(begun, *arguments)
                begun += 1
            ended += len(pool.finished(1.0))
    return 1000 * (time.perf_counter() - since) / number


def _done(pool: RayPool, payloads: list[Any]) -> float:
    """Seconds until all are done."""
    since = time.perf_counter()
    for place, payload in enumerate(payloads):
        assert pool.start(place, None, payload)
    left = len(payloads)
    while left:
        left -= len(pool.finished(1.0))
    return time.perf_counter() - since


def _late_s(
    options: argparse.Namespace, pool: RayPool, kill: Callable[[list[Who]], None], times: int = REPEATS
) -> float:
    """Between the kill and the end of both calls, less what an undisturbed one takes; median of a few."""
    found = []
    for _ in range(1 if options.quick else times):
        with tempfile.TemporaryDirectory() as place:
            alone_s = _done(pool, [(_nap, options.nap_s, None)])
            marks = [Path(place) / "first", Path(place) / "second"]
            for number, mark in enumerate(marks):
                pool.start(number, None, (_nap, options.nap_s, str(mark)))
            while not all(mark.exists() for mark in marks):
                time.sleep(0.01)
            since = time.perf_counter()
            kill([Who(*mark.read_text().split()) for mark in marks])
            left = 2
            while left:
                left -= len(pool.finished(0.05))
            found.append(time.perf_counter() - since - alone_s)
    return statistics.median(found)


def _kill_process(whose: list[Who]) -> None:
    os.kill(int(whose[0].pid), signal.SIGKILL)


def _machine_killer(cluster: Any) -> Callable[[list[Who]], None]:
    """Ends a node that has one of the calls, and not the driver."""

    def kill(whose: list[Who]) -> None:
        busy = {who.node for who in whose}
        node = next(one for one in cluster.worker_nodes if one.node_id in busy)
        cluster.remove_node(node, allow_graceful=False)

    return kill


def _nap(seconds: float, mark: str | None) -> None:
    import ray

    if mark is not None:
        unfinished = Path(f"{mark}.unfinished")
        unfinished.write_text(f"{os.getpid()} {ray.get_runtime_context().get_node_id()}")
        unfinished.rename(mark)
    time.sleep(seconds)


def _long(blob: bytes) -> int:
    # Long enough that each node takes one.
    time.sleep(0.5)
    return len(blob)


if __name__ == "__main__":
    main()
