"""Commands that start a process: dev, worker, node, dashboard, metrics, demo."""
