"""Persistent worker processes, one a core, that evaluate many trials at once.

A worker that crashes, is killed or hangs costs the one item it had; it is replaced and the rest goes on. No worker
outlives its parent, however that ends.
"""

from nasfit.workers.cores import available_cores
from nasfit.workers.pool import Pool
from nasfit.workers.ray_pool import RayPool

__all__ = ["Pool", "RayPool", "available_cores"]
