"""The executing side: a node that registers, beats, takes assignments and completes them."""

from .node import Arbiter, Handler, Node
from .task import Assignment, Task

__all__ = ["Arbiter", "Assignment", "Handler", "Node", "Task"]
