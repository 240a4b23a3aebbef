"""The executing side: a node that registers, beats, takes assignments and completes them."""

from .inbox import Arbiter
from .node import Node
from .runner import Handler
from .task import Assignment, Task

__all__ = ["Arbiter", "Assignment", "Handler", "Node", "Task"]
