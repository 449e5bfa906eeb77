"""Persistent worker processes, one a core, that evaluate many trials at once.

A worker that crashes, is killed or hangs costs the one item it had; it is replaced and the rest goes on. No worker
outlives its parent, however that ends.
"""

from nasfit.workers.cores import available_cores
from nasfit.workers.pool import Pool

__all__ = ["Pool", "available_cores"]
