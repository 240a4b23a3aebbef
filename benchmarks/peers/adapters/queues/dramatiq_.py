"""dramatiq: threads; acknowledged when the message has been processed."""

import time

import contract
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend


class Dramatiq(contract.Peer):
    def connect(self, producing):
        self.board = None
        self.backend = RedisBackend(url=self.url)
        broker = RedisBroker(url=self.url)
        if self.keeps:
            broker.add_middleware(Results(backend=self.backend))
        dramatiq.set_broker(broker)
        self.broker = broker
        options = {"store_results": True, "result_ttl": 3_600_000} if self.keeps else {}

        @dramatiq.actor(queue_name="jobs", **options)
        def job(payload):
            self.board.started(payload["n"])
            if self.holds:
                time.sleep(3600)
            return "done" if self.keeps else None

        self.actor = job

    def one(self, n):
        self.actor.send(contract.payload(n))

    def bulk(self, first, count):
        for n in range(first, first + count):
            self.one(n)

    def result(self, n):
        message = self.actor.send(contract.payload(n))
        message.get_result(backend=self.backend, block=True, timeout=10_000)

    def work(self, board):
        self.board = board
        worker = dramatiq.Worker(self.broker, worker_threads=contract.HELD if self.holds else contract.THREADS)
        board.gate_of_threads()
        worker.start()
        worker.join()
        while True:
            time.sleep(3600)


contract.run(Dramatiq)
