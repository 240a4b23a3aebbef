"""Every metric: name, type, labels, and meaning. ``docs/metrics.md`` holds the same table."""

from __future__ import annotations

from typing import Literal, NamedTuple

PARTITION = ("scheduler", "partition")
"""Labels of every metric: the namespace of its keys and the number of the partition. The first is not called
``namespace``, because Kubernetes adds a label of that name."""


class Metric(NamedTuple):
    """One metric."""

    name: str
    """Name without the suffixes of the samples: ``_total``, ``_bucket``, ``_sum``, ``_count``."""
    kind: Literal["counter", "gauge", "histogram", "summary"]
    labels: tuple[str, ...]
    """Labels after :data:`PARTITION`."""
    help: str

    @property
    def samples(self) -> tuple[str, ...]:
        """The names of its samples in PromQL."""
        if self.kind == "counter":
            return (f"{self.name}_total",)
        if self.kind == "gauge":
            return (self.name,)
        first = self.name if self.kind == "summary" else f"{self.name}_bucket"
        return first, f"{self.name}_sum", f"{self.name}_count"


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return Metric(f"streamsched_{name}", "gauge", labels, help)


def _counter(name: str, help: str, *labels: str) -> Metric:
    return Metric(f"streamsched_{name}", "counter", labels, help)


CATALOGUE = (
    # the partition
    _gauge("server_up", "Whether the server answered this scrape; at 0, all metrics read from it are missing."),
    _gauge("partition_condition", "1 for the condition the partition is in, 0 for the others.", "condition"),
    _gauge("lag_events", "Events of the log that are not folded yet."),
    _gauge("heartbeats_lag_events", "Heartbeats that are not folded yet."),
    _gauge("log_length_events", "Events that the log holds."),
    _counter("log_events_folded", "Events of the log folded so far, including refused ones."),
    _gauge("workers", "Workers active in the last few seconds; absent on a replica."),
    _gauge("last_call_timestamp_seconds", "When the scheduler last acted."),
    _gauge("eviction", "1 if the server may evict keys, else 0. Left out where INFO is not permitted."),
    _gauge("clock_ahead_seconds", "How far the scheduler's time is ahead of the server's clock, which was set back."),
    _gauge("members_too_old", "Workers, nodes and clients that cannot fold the newest version that another can."),
    _gauge("log_pinned_seconds", "Age of the job at which the archiver stops trimming the log; 0 if there is none."),
    _gauge("overload", "1 while submissions are refused for this cause, else 0.", "cause"),
    _counter("submissions_shed", "Submissions refused because of overload."),
    # what goes through the log
    _counter("events_folded", "Events from outside, by type, since the exporter started; refused ones too.", "type"),
    _counter("decisions", "Decisions of the scheduler, by type, since the exporter started.", "type"),
    # jobs
    _counter("jobs_submitted", "Jobs that were accepted."),
    _counter("jobs_dispatched", "Attempts that went to a node."),
    _counter("jobs_requeued", "Attempts that ended with the job waiting again."),
    _counter("jobs_ended", "Jobs that ended, by how they did.", "status"),
    _gauge("jobs_waiting", "Jobs that wait for a node or for their time."),
    _gauge("jobs_held", "Jobs in the hands of nodes."),
    _gauge(
        "pair_jobs_waiting",
        "Jobs that wait for a node now, by language pair: the 50 longest queues, and all others as one.",
        "src_lang",
        "tgt_lang",
    ),
    _gauge(
        "pair_open_pools",
        "Pools with a node that may receive a job of the pair now; of the same pairs.",
        "src_lang",
        "tgt_lang",
    ),
    Metric(
        "streamsched_job_stage_seconds",
        "histogram",
        ("stage",),
        "How long jobs took since the exporter started. waiting: submitted, or due, until first dispatched; accepting: "
        "dispatched until started; executing: started, or dispatched to its caller, until completed.",
    ),
    # nodes
    _gauge("nodes_registered", "Nodes that ever registered."),
    _gauge("nodes_online", "Nodes that are online."),
    _gauge("nodes_in_trouble", "Online nodes whose last heartbeat says that something is wrong with them."),
    _gauge("nodes", "Nodes by state; each is read from time to time.", "state"),
    _counter("nodes_expired", "Times that a node was silent for too long and lost its jobs."),
    # what was refused
    _counter("dead_letters", "Events that were refused, by code.", "code"),
    _gauge("dead_letters_open", "Dead letters neither retried nor dropped."),
    # sources
    _gauge("sources", "Sources that were ever admitted."),
    _counter("source_limits", "Records of a source that exceeded a limit."),
    _counter("source_entries_dropped", "Entries of sources dropped for a limit."),
    # the server and the archive
    Metric(
        "streamsched_script_seconds",
        "summary",
        ("quantile",),
        "Time in scripts as the server counts it, over all its users (EVALSHA). Left out where INFO is not permitted.",
    ),
    _gauge("archive_behind_seconds", "From the last archived event to the last folded one; only if an archiver trims."),
    # the exporter
    _gauge("exporter_unread_events", "Folded events that the exporter has not read yet."),
    _counter("exporter_skipped_events", "Events that it did not read, because it had fallen too far behind."),
    _gauge("exporter_info", "Always 1; the version of the exporter.", "version"),
)

BY_NAME = {metric.name.removeprefix("streamsched_"): metric for metric in CATALOGUE}
