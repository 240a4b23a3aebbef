"""The demo: a server, workers, forty nodes and a producer, with faults during the run and a verdict from the log.

The command is :func:`streamsched.demo.present.present`; nothing is imported here, because the child processes start
from modules of this package and are to start fast.
"""
