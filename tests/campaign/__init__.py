"""A campaign on real processes: faults on purpose, journals outside Redis, and a checker that trusts nothing else.

``python -m tests.campaign`` (or ``make campaign MINUTES=10``) plays every fault with seeds; ``docs/testing.md`` holds
the figures of a whole run.
"""
