"""The fold a second time, in plain Python: what a log must come to, computed without the Lua scripts.

It shares no line, table or number with ``streamsched`` or ``lua/``, so that a mistake there cannot hide here. Where the
scripts keep an index in step with every event, the model keeps none: ``indexes.py`` defines each of them by the jobs,
nodes and pools it follows from, at the moment of reading. What the log says was decided must also have been lawful
to decide at that point (``decisions.py``): no other check of the product looks at that.

``fold(entries, forged)`` is all a caller needs; ``Model`` goes step by step.

A new event is a row in ``contract.py`` and a function marked ``@folds("its.type")``; a new key goes to ``indexes.py``.
"""

from .fold import Folded, Model, fold
from .refusals import Unlawful

__all__ = ["Folded", "Model", "Unlawful", "fold"]
