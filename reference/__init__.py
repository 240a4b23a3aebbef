"""The reference, written from the code: events, keys, Python, command line, configuration. ``python -m reference``
writes it.

Types, fields, limits and defaults of events come from ``streamsched/contract/``. The sentences that open a fold say
what its event does. Only the meaning of a field is here, in ``words.py``: every process imports the contract, and
none of them needs that text.
"""
