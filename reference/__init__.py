"""The event reference for people (``docs/events.md``) and programs (``docs/asyncapi.yaml``), written from the contract.

Types, fields, limits and defaults come from ``streamsched/events.py``, what an event does from the sentences that open
its fold, and only the meaning of a field from here. ``python -m reference`` writes both files.
"""
