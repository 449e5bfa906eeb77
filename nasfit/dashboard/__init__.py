"""A page of a study while it runs: the report's answer, words and drawings, kept up to date on a port of this machine.

`Watch` reads the study where it has changed, `Site` answers addresses with pages, `Server` puts them on a port.
"""

from nasfit.dashboard.server import Server
from nasfit.dashboard.site import Reply, Site
from nasfit.dashboard.watching import Look, Watch

__all__ = ["Look", "Reply", "Server", "Site", "Watch"]
