"""The C library's allocator, told to keep what a training frees, because its next step wants the same again."""

from __future__ import annotations

import ctypes
from functools import cache

# Names and values of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER_TRIM, _LARGEST_FROM_HEAP = 2**31 - 1, 2**30


@cache
def keep_memory() -> bool:
    """Whether this process keeps freed blocks from here on, up to the most it ever used; for workers.

    By default glibc hands every large block back to the kernel, which then clears the pages of the next one: a tenth to
    a sixth of a training step. False where the C library is another one, and nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_FROM_HEAP) and mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM))
