"""huey: threads; a list that is popped, so a job that is begun is nowhere but in its worker."""

import logging
import time

import contract
from huey import RedisHuey
from huey.consumer import Consumer


class Huey(contract.Peer):
    def connect(self, producing):
        self.board = None
        self.huey = RedisHuey("jobs", url=self.url, results=self.keeps, notify_result=self.keeps)

        @self.huey.task(name="job")
        def job(payload):
            self.board.started(payload["n"])
            if self.holds:
                time.sleep(3600)
            return "done" if self.keeps else None

        self.task = job

    def one(self, n):
        self.task(contract.payload(n))

    def bulk(self, first, count):
        for n in range(first, first + count):
            self.one(n)

    def result(self, n):
        self.task(contract.payload(n)).get(blocking=True, timeout=10, backoff=1, max_delay=0.001)

    def work(self, board):
        self.board = board
        logging.disable(logging.INFO)
        threads = contract.HELD if self.holds else 1  # one is the fastest: more only contend for the interpreter
        consumer = Consumer(self.huey, workers=threads, periodic=False)
        board.gate_of_threads()
        consumer.run()


contract.run(Huey)
