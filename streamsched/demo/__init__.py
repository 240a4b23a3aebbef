"""The demo: a server, workers, forty nodes and a producer, with losses in mid-run, judged from the log at the end.

The command is :func:`streamsched.demo.present.present`; nothing is imported here, because the child processes start
from modules of this package and are to start fast.
"""
