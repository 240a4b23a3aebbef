"""rq with its SimpleWorker: its default forks a process for each job, which is a tenth as fast. One job at a time."""

import logging
import sys

import contract
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

CHUNK = 500
BOARD = None


def job(payload):
    BOARD.started(payload["n"])
    return "done"


class Rq(contract.Peer):
    def connect(self, producing):
        self.redis = Redis.from_url(self.url)
        self.queue = Queue("jobs", connection=self.redis, serializer=JSONSerializer)
        self.options = {"result_ttl": 3600 if self.keeps else 0}

    def one(self, n):
        return self.queue.enqueue("rq_.job", contract.payload(n), **self.options)

    def bulk(self, first, count):
        for start in range(first, first + count, CHUNK):
            numbers = range(start, min(start + CHUNK, first + count))
            self.queue.enqueue_many(
                [Queue.prepare_data("rq_.job", args=(contract.payload(n),), **self.options) for n in numbers]
            )

    def result(self, n):
        self.one(n).latest_result(timeout=10)

    def work(self, board):
        global BOARD
        BOARD = board
        sys.modules["rq_"] = sys.modules["__main__"]
        logging.disable(logging.INFO)
        worker = SimpleWorker([self.queue], connection=self.redis, serializer=JSONSerializer)
        board.gate_of_threads()
        worker.work(logging_level="ERROR")


contract.run(Rq)
