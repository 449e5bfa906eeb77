"""The checkers of the extension points, for authors of packages that add a part: each raises at the first promise
that is broken, saying which, and returns nothing where all hold.
"""

from nasfit.checks.engine import check_engine
from nasfit.devices import check_device
from nasfit.strategies import check_strategy
from nasfit.study import check_store
from nasfit.tasks import check_task

__all__ = ["check_device", "check_engine", "check_store", "check_strategy", "check_task"]
