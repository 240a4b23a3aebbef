"""Runs a module of the product with something done to the process: ``python -m tests.campaign.wrapped MODULE ARG…``.

What is done stands in the environment, as ``CAMPAIGN_<NAME>``, one of :data:`INSIDE`; the module runs as it would by
itself.
"""

from __future__ import annotations

import os
import runpy
import sys

from . import inside

INSIDE = {
    "CAMPAIGN_CANCEL": inside.cancel_on_signal,
    "CAMPAIGN_VERSION": inside.be_another_version,
    "CAMPAIGN_DIE": inside.die_at,
    "CAMPAIGN_FOLLOW": inside.follow_redirects,
}


def main() -> None:
    """Do what the environment says, then be the module."""
    module, *arguments = sys.argv[1:]
    for name, act in INSIDE.items():
        if name in os.environ:
            act(os.environ[name])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
