"""Processes that take one name after the other; one that dies does not affect the others."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

T = TypeVar("T")

Serve = Callable[[Callable[[str], T]], None]

SIGNALS = (signal.SIGINT, signal.SIGTERM)

TICK = 0.5  # seconds after which the reader of the answers may show the progress


@dataclass(frozen=True)
class Death:
    """In place of an answer: the process that was to give it has died.

    Attributes:
        cause: in words.
    """

    cause: str


class Stop:
    """Whether a signal has asked to stop: Ctrl-C or SIGTERM."""

    asked = False


@contextmanager
def stop_gently(stop: Stop) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM only ask to stop, for as long as this context."""

    def ask(*_: object) -> None:
        stop.asked = True

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Worker(Generic[T]):
    """A process, and the name that it works on.

    Args:
        do: what the process does; it is handed a function that serves it names.
        name: the first one.
    """

    def __init__(self, do: Callable[[Serve[T]], None], name: str) -> None:
        self.name = name
        spawn = get_context("spawn")
        self.pipe, its = spawn.Pipe()
        self.process: BaseProcess = spawn.Process(target=work, args=(its, do))
        # It inherits that it does not hear them, and ends when we tell it to.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
        self.process.start()
        for number, handler in before.items():
            signal.signal(number, handler)
        its.close()
        self.give(name)

    def give(self, name: str) -> None:
        """Let it work on a name; if it has died, `take` says so."""
        self.name = name
        with suppress(OSError):
            self.pipe.send(name)

    def take(self) -> T | Death:
        """Return its answer, or how it died."""
        with suppress(EOFError, OSError):
            if self.pipe.poll():
                answer: T = self.pipe.recv()
                return answer
        self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return Death(f"its process ended with exit code {code}")
        return Death(f"its process was ended by {signal.Signals(-code).name}")

    def end(self) -> None:
        """Let it end, after what it does now."""
        self.pipe.close()
        self.process.join()


def work(pipe: Connection, do: Callable[[Serve[Any]], None]) -> None:
    """Let a process serve names until the pipe is closed."""

    def serve(answer: Callable[[str], Any]) -> None:
        while True:
            try:
                name = pipe.recv()
            except (EOFError, OSError):
                return
            answered = answer(name)
            with suppress(OSError):  # the reader is gone
                pipe.send(answered)

    do(serve)


def hand_out(
    names: Iterable[str], do: Callable[[Serve[T]], None], jobs: int, stop: Stop
) -> Iterator[tuple[str, T | Death] | None]:
    """Hand names out to processes, to each a new one when it has done the last.

    Args:
        names: what to work on.
        do: what each process does; it is handed a function that lets another one answer
            each name that comes.
        jobs: how many processes.
        stop: nothing is handed out after a signal has asked to stop.

    Yields:
        A name with the answer, as they come; None now and then, while there is none.
    """
    waiting = deque(names)
    workers: list[Worker[T]] = []
    try:
        while True:
            while waiting and len(workers) < jobs and not stop.asked:
                workers.append(Worker(do, waiting.popleft()))
            if not workers:
                return
            awaited = [(worker.pipe, worker.process.sentinel) for worker in workers]
            ready = wait([each for pair in awaited for each in pair], TICK)
            if not ready:
                yield None
            for worker in workers.copy():
                if worker.pipe not in ready and worker.process.sentinel not in ready:
                    continue
                name, answer = worker.name, worker.take()
                if isinstance(answer, Death) or stop.asked or not waiting:
                    workers.remove(worker)
                    worker.end()
                else:
                    worker.give(waiting.popleft())
                yield name, answer
    finally:
        for worker in workers:
            worker.end()
