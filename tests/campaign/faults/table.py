"""The table of all faults."""

from __future__ import annotations

from . import clock, cluster, failover, load, processes, replies, server
from .fault import Fault
from .storage import aof, archiving, disk

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        processes.KillWorker,
        processes.KillNode,
        processes.KillNodeBriefly,
        processes.KillProducer,
        processes.KillArchiver,
        processes.StopWorker,
        processes.StopNode,
        processes.StopProducer,
        processes.StopArchiver,
        processes.CancelWorker,
        processes.CancelNode,
        processes.CancelProducer,
        processes.CancelArchiver,
        server.KillServer,
        server.KillServerAlways,
        server.FreezeServer,
        server.Outage,
        server.OutOfMemory,
        server.TwoVersions,
        replies.LoseAppendReplies,
        replies.LoseAdvanceReplies,
        replies.LosePipelineReplies,
        load.Burst,
        load.SlowWorkers,
        load.DeafNodes,
        load.IdleNodes,
        load.SlowNodes,
        load.LateNodes,
        load.Poison,
        archiving.ArchiverDies,
        archiving.ArchiverLosesPower,
        clock.ClockAhead,
        clock.ClockBack,
        aof.CutAof,
        failover.Promotion,
        failover.Partition,
        failover.PartitionGuarded,
        failover.PartitionOfNetworks,
        failover.ArchiveAhead,
        cluster.ClassicMigration,
        cluster.AtomicMigration,
        cluster.FailoverInCluster,
        disk.ArchiveDiskFull,
        disk.AofDiskFull,
        disk.AofDiskFullAlways,
    )
}
"""By name, in the order in which they are played."""
