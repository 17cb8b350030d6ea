"""Processes that train tiny problems, each on a core of its own."""

import multiprocessing
import os
import time
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple


class Job(NamedTuple):
    """A training with each of some settings."""

    problem: str
    seed: int
    horizon: int


class Answer(NamedTuple):
    """What came of a job."""

    job: Job
    losses: Any  # Losses
    seconds: float


def _work(core, kind, pipe):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    )
    from benchmarks.evolution.rules import RULES
    from benchmarks.evolution.runs import Runs

    made: dict[str, Runs] = {}
    while (message := pipe.recv()) is not None:
        settings, jobs = message
        answers = []
        for job in jobs:
            if job.problem not in made:
                made[job.problem] = Runs(job.problem, *RULES[kind]())
                made[job.problem](settings, job.seed, 1)  # it compiles
            began = time.perf_counter()
            losses = made[job.problem](settings, job.seed, job.horizon)
            seconds = time.perf_counter() - began
            answers.append(Answer(job, losses, seconds))
        pipe.send(answers)


class Workers:
    """Processes, and which problems each has.

    Args:
        kind: String, what they train with, a key of `rules.RULES`.
        names: List of strings, the problems.
        cores: List of ints. There is a process for each.
    """

    def __init__(
        self, kind: str, names: Sequence[str], cores: Sequence[int]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.problems = [names[k :: len(cores)] for k in range(len(cores))]
        self.pipes = []
        self.seconds: dict[str, float] = {}
        for core in cores:
            pipe, other = context.Pipe()
            context.Process(
                target=_work, args=(core, kind, other), daemon=True
            ).start()
            self.pipes.append(pipe)

    def run(self, settings: Any, jobs: Iterable[Job]) -> list[Answer]:
        """Runs jobs, each with all settings `(settings, numbers)`."""
        jobs = list(jobs)
        for pipe, names in zip(self.pipes, self.problems):
            pipe.send((settings, [j for j in jobs if j.problem in names]))
        answers = [answer for pipe in self.pipes for answer in pipe.recv()]
        for answer in answers:
            each = answer.seconds / answer.job.horizon / len(settings)
            self.seconds[answer.job.problem] = each
        return answers

    def stop(self) -> None:
        for pipe in self.pipes:
            pipe.send(None)
