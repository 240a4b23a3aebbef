"""The table of all faults."""

from __future__ import annotations

from . import access, clock, cluster, failover, load, processes, rebuilding, replies, server
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
        processes.SecondProcess,
        processes.CrashingJobs,
        processes.CancelWorker,
        processes.CancelNode,
        processes.CancelProducer,
        processes.CancelArchiver,
        server.KillServer,
        server.KillServerAlways,
        server.FreezeServer,
        server.Outage,
        server.OutOfMemory,
        server.KeysEvicted,
        server.TwoVersions,
        access.PasswordRotated,
        access.PasswordDemanded,
        access.RightsTaken,
        access.InboxReplaced,
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
        archiving.TwoArchivers,
        archiving.ManifestPutBack,
        archiving.CopiesTaken,
        rebuilding.Flushed,
        rebuilding.RebuiltUnderClients,
        rebuilding.RebuildKilled,
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
