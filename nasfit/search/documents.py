"""Documents that a search keeps in its study for whoever reads it; what is read here needs no torch."""

from __future__ import annotations

from nasfit.study import Study

# Seconds that looking up latencies before training took.
LOOKING = "looks"
# What a strategy tells of each of its updates.
DIAGNOSTICS = "controller"
# Of the final networks by name: accuracy on the test set, and the mistakes made there.
FINALS = "finals"
# The measurements of the final comparison by the networks' names, with all samples.
LATENCIES = "latencies"
# Where the time of the network handed over goes, or why that could not be told.
PARTS = "parts"


def look_seconds(study: Study) -> float:
    """Seconds that looking took so far; part of the search's."""
    return float((study.document(LOOKING) or {}).get("seconds", 0.0))
