"""Trials and where they are kept.

A study is a directory, and the directory is the truth: `study.sqlite` holds settings, trials, latencies looked up,
measurements, documents and the seconds spent; files such as exported networks lie beside it. Every write is on the disk
before the call returns, so a killed search continues where it stopped. One process drives a study at a time and alone
decides what becomes of a trial; any number may read it meanwhile, or help: do jobs that the driver posts.
"""

from nasfit.study.checking import check_store
from nasfit.study.jobs import Job, JobQueue, Outcome
from nasfit.study.lookups import LookedUp, LookupLog
from nasfit.study.members import Member, Members, Pulse
from nasfit.study.store import Store, StoreFactory
from nasfit.study.stores import holds_study
from nasfit.study.study import Study
from nasfit.study.trial import Proposal, Rung, Trial, TrialState

__all__ = [
    "Job",
    "JobQueue",
    "LookedUp",
    "LookupLog",
    "Member",
    "Members",
    "Outcome",
    "Proposal",
    "Pulse",
    "Rung",
    "Store",
    "StoreFactory",
    "Study",
    "Trial",
    "TrialState",
    "check_store",
    "holds_study",
]
