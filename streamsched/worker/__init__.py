"""The process that folds events and decides what is due."""

from .health import health_probe
from .worker import Worker

__all__ = ["Worker", "health_probe"]
