"""celery: one process of threads, no events, no gossip; acknowledged early, which is its default."""

import logging
import time

import contract
from celery import Celery


class CeleryPeer(contract.Peer):
    def connect(self, producing):
        self.board = None
        self.app = Celery("jobs", broker=self.url, backend=self.url if self.keeps else None)
        self.app.conf.update(
            task_ignore_result=not self.keeps,
            result_expires=3600,
            worker_prefetch_multiplier=16,
            worker_send_task_events=False,
            task_acks_late=False,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
        )

        @self.app.task(name="job")
        def job(payload):
            self.board.started(payload["n"])
            if self.holds:
                time.sleep(3600)
            return "done"

        self.task = job

    def one(self, n):
        self.task.delay(contract.payload(n))

    def bulk(self, first, count):
        with self.app.producer_pool.acquire(block=True) as producer:
            for n in range(first, first + count):
                self.task.apply_async((contract.payload(n),), producer=producer)

    def result(self, n):
        self.task.delay(contract.payload(n)).get(timeout=10, interval=0.001)

    def work(self, board):
        self.board = board
        logging.disable(logging.INFO)
        board.gate_of_threads()
        threads = contract.HELD if self.holds else contract.THREADS
        flags = ["--pool=threads", f"--concurrency={threads}", "--without-gossip", "--without-mingle"]
        self.app.worker_main(["worker", *flags, "--without-heartbeat", "--loglevel=ERROR"])


contract.run(CeleryPeer)
