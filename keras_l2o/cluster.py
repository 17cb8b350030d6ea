"""Independent pieces of work, for processes of this machine or of others."""

import contextlib
import logging
import os
import signal
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent import futures
from typing import Any

import keras

from keras_l2o import extras
from keras_l2o.errors import UserError
from keras_l2o.policies.arguments import check_count
from keras_l2o.version import versions

#: How often a piece of work may lose the process that does it.
LOSSES = 3
#: In which a scheduler has to answer.
ANSWER_SECONDS = 10
#: In which two processes have to agree for one to work for the other.
ALIKE = ("keras_l2o", "backend")


class ClusterError(UserError):
    """Workers cannot be reached or used; the message says why.

    Example:

    >>> try:
    ...     keras_l2o.cluster.Cluster(workers=2, scheduler="tcp://10.0.0.1:8786")
    ... except keras_l2o.cluster.ClusterError as error:
    ...     print(error)
    Give one of the arguments `workers` and `scheduler`...
    """


class Cluster:
    """Workers to whom evaluations and trainings are given, many at a time.

    On this machine they are processes that this object starts, and that end
    with it. Elsewhere they are those of a scheduler of Dask: run `dask
    scheduler` on a machine and `dask worker tcp://...:8786 --nthreads 1` on
    each that is to work, all with the same version of keras_l2o and the same
    `KERAS_BACKEND`. What is done comes back over the network and is stored by
    the process that asked for it, so that no file system needs to be shared. A
    worker that is killed loses nothing but the piece of work in its hands,
    which another one gets.

    In a script, make it below `if __name__ == "__main__":`, since processes
    that Python starts import the script.

    Args:
        workers: Int. How many processes of this machine. Defaults to `None`.
        scheduler: String. Address of a scheduler, such as
            `"tcp://10.0.0.1:8786"`. Defaults to `None`. One of the two is
            needed.

    Raises:
        ClusterError: Both or none are given, or there is no scheduler at the
            address.
        MissingExtra: Dask's package `distributed` is not installed.

    Example:

    >>> with keras_l2o.cluster.Cluster(workers=1) as cluster:
    ...     frame = keras_l2o.evaluate(
    ...         "adam", "quadratic_10", repeat=2, steps=3, cluster=cluster)
    """

    def __init__(
        self, workers: int | None = None, scheduler: str | None = None
    ) -> None:
        if (workers is None) == (scheduler is None):
            raise ClusterError(
                "Give one of the arguments `workers` and `scheduler`. "
                f"Received: workers={workers}, scheduler={scheduler!r}"
            )
        if workers is not None:
            check_count("workers", workers, least=1)
        extras.need("cluster", "Work for several processes")
        self.workers, self.scheduler = workers, scheduler
        self._held = contextlib.ExitStack()
        self._client: Any = None

    def __enter__(self) -> "Cluster":
        import dask
        import distributed

        settings = {
            "distributed.scheduler.allowed-failures": LOSSES,
            # Compiling may keep a worker from saying that it is alive.
            "distributed.scheduler.worker-ttl": None,
        }
        with contextlib.ExitStack() as held:
            held.enter_context(dask.config.set(settings))
            address: Any = self.scheduler
            if self.workers is not None:
                with _interrupts_ignored():
                    local = distributed.LocalCluster(
                        n_workers=self.workers,
                        threads_per_worker=1,
                        memory_limit=0,
                        host="127.0.0.1",
                        dashboard_address="127.0.0.1:0",
                        silence_logs="CRITICAL",
                        env=_environment(),
                    )
                address = held.enter_context(local)
            try:
                self._client = held.enter_context(
                    distributed.Client(address, timeout=ANSWER_SECONDS)
                )
            except (OSError, ValueError) as error:
                raise ClusterError(
                    f"No scheduler answers at {self.scheduler!r}: {error}. "
                    "`dask scheduler` starts one and prints its address."
                ) from error
            self._held = held.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._client = None
        self._held.close()

    @property
    def size(self) -> int:
        """How many workers there are at the moment, at least 1."""
        return max(len(self._client.scheduler_info(-1)["workers"]), 1)

    def call(self, functions: Sequence[Callable[[], Any]]) -> list[Any]:
        """Calls functions that each ask this cluster for work, all at once.

        They run in threads of this process.

        Args:
            functions: List of functions without arguments.

        Returns:
            List of what they returned.
        """
        pool = futures.ThreadPoolExecutor(2 * self.size)
        try:
            return list(pool.map(lambda function: function(), functions))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def each(
        self, function: Callable[..., Any], pieces: Sequence[tuple[Any, ...]]
    ) -> Iterator[tuple[int, Any]]:
        """Lets workers call a function with each of some arguments.

        Args:
            function: Function of a module, whose result can be pickled.
            pieces: List of tuples, the arguments of each call.

        Yields:
            Pairs of a piece's number and what the function returned for it, as
            they are done.

        Raises:
            ClusterError: A piece has lost its worker again and again, or a
                worker has another version or backend.
            Exception: What the function has raised, of the first piece that
                failed. The others are given up.
        """
        import distributed

        mine = versions()
        asked = {}
        for number, piece in enumerate(pieces):
            future = self._client.submit(
                _work, mine, function, piece, pure=False, priority=-number
            )
            asked[future.key] = number, future
        try:
            waiting = [future for _, future in asked.values()]
            for future in distributed.as_completed(waiting):
                result = future.result()
                # Else it would be made again if its worker died later.
                number, _ = asked.pop(future.key)
                future.release()
                yield number, result
        except distributed.KilledWorker as error:
            raise ClusterError(
                f"{error.allowed_failures + 1} workers have died of the same "
                f"piece of work, the last one at {error.last_worker.address}. "
                "If they had too little memory, let fewer work on a machine."
            ) from error
        finally:
            if self._client is not None:
                self._client.cancel([future for _, future in asked.values()])


@contextlib.contextmanager
def _interrupts_ignored():
    """Processes that are started within it leave Ctrl-C to this one."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # only the main thread may set handlers
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _environment():
    """That of a worker of this machine."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **os.environ,
        "KERAS_BACKEND": keras.backend.backend(),
    }


def _work(theirs, function, piece):
    """What a worker does for another process of these versions."""
    mine = versions()
    for name in ALIKE:
        if mine[name] != theirs[name]:
            raise ClusterError(
                f"A worker has {name} {mine[name]}, and who asks it to work "
                f"has {theirs[name]}. Start it with the same one."
            )
    # It warns of each new model that is not the first.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return function(*piece)
