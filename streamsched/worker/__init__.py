"""The process that folds events and makes the decisions that are due."""

from .health import health_probe
from .worker import Worker

__all__ = ["Worker", "health_probe"]
