"""Runs a product module with something done to the process: ``python -m tests.campaign.processes.wrapped MODULE …``.

The environment says what is done, as ``CAMPAIGN_PLANT`` and one of :data:`INSIDE`; the module runs as it would by
itself.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib import import_module

from ..mutants import PLANTED

INSIDE = {
    "CAMPAIGN_CANCEL": "cancel_on_signal",
    "CAMPAIGN_VERSION": "be_another_version",
    "CAMPAIGN_DIE": "die_at",
    "CAMPAIGN_UNLOCKED": "see_no_lock",
}


def main() -> None:
    """Do what the environment says, then be the module."""
    module, *arguments = sys.argv[1:]
    if bug := os.environ.get("CAMPAIGN_PLANT"):
        PLANTED[bug].bug.plant()  # first: the rest imports what it may have to change
    inside = import_module("tests.campaign.processes.inside")
    for name, act in INSIDE.items():
        if name in os.environ:
            getattr(inside, act)(os.environ[name])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
