"""Meta-trains `General` on one GPU, with a process for each problem.

    KERAS_BACKEND=jax XLA_PYTHON_CLIENT_PREALLOCATE=false \
    XLA_FLAGS="--xla_gpu_autotune_level=0" \
        python -m benchmarks.problem_processes results/general/gpu

An inner step of a tiny problem is hundreds of kernels of a few microseconds, so
one process leaves a GPU idle. Here each problem has a process of its own, which
trains `--tasks` optimizees side by side; start `nvidia-cuda-mps-control -d`
before, for kernels of several processes to run at the same time. All episodes
of an outer step have one horizon, so that the program stops there; from one
outer step to the next the horizons are log-uniform in an order of low
discrepancy. This process makes the mean and the update, and does not wait for
the slowest: once four of five are back, the others have a quarter of the time
more, and what comes later counts in a later step. The outer rate falls along a
cosine over `--seconds`. So two runs are not bit for bit alike.

What it writes is a folder that `keras_l2o.load` reads, and `log.csv`: for each
outer step and problem, the horizon, the tasks that counted, the mean of the
objective and of the lead over the best of three Adams (below zero is ahead),
the median norm of a task's gradient, and seconds.
"""

import argparse
import csv
import functools
import math
import multiprocessing
import pathlib
import threading
import time
import traceback
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

from benchmarks import students
from keras_l2o import config
from keras_l2o.problems import BREADTH
from keras_l2o.training import inner_loop
from keras_l2o.training.outer_loop import outer_loop_of
from keras_l2o.training.task import Task
from keras_l2o.training.task import Tensors

#: Inner steps of a truncation; a horizon has at least so many.
UNROLL = 50
#: First parameters of a problem that its episodes draw from: to make a model
#: takes longer than to train it.
STARTS = 48
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
#: Share of the processes that an outer step waits for, and what part of the
#: time until then it gives to the others.
QUORUM, GRACE = 0.8, 0.25


class Answer(NamedTuple):
    """What a process sends after an outer step."""

    result: Any  # TaskResult, stacked over tasks
    horizon: int
    seconds: float


def horizon(step: int, seed: int, depth: int) -> int:
    """Inner steps of the episodes of an outer step.

    Args:
        step: Int, the outer step, from 0.
        seed: Int.
        depth: Int. The longest horizon is `depth` truncations.
    """
    share = (0.7548776662466927 * seed + GOLDEN * step) % 1.0
    return round(UNROLL * depth**share)


def configured(options, problem):
    """The configuration of a run whose only problem has this name."""
    found = config.resolve(
        ["breadth", "general"],
        overrides=[
            ("training/tasks", options.tasks),
            ("training/problems_per_step", None),
            ("strategy/depth", options.depth),
            ("policy/directory", options.start)
            if options.start
            else ("policy/orthogonal", True),
        ],
        seed=options.seed,
    )
    alone = [p for p in found.problems if p.name == problem]
    return found.model_copy(update={"problems": alone})


class Data:
    """The data of a problem's outer steps, the next made in a thread.

    Args:
        episodes: `Episodes` of the one problem.
        seed: Int, of the horizons.
    """

    def __init__(self, episodes, seed):
        self.episodes, self.seed = episodes, seed
        problem = episodes.problems[0]
        made = functools.cache(problem.initial_values)
        problem.initial_values = lambda seed: made(seed % STARTS)
        self._next = (None, None, {})

    def at(self, step):
        """The data of all tasks, and the horizon."""
        number, thread, box = self._next
        if number == step:
            thread.join()
        # Not there if the thread has failed: then the error is met here.
        found = box.get(step) or self.make(step)
        box = {}

        def ahead():
            box[step + 1] = self.make(step + 1)

        thread = threading.Thread(target=ahead, daemon=True)
        thread.start()
        self._next = (step + 1, thread, box)
        return found

    def make(self, step):
        episodes = self.episodes
        steps = np.int32(horizon(step, self.seed, episodes.depth[1]))
        with keras.device("cpu"):
            (data,) = episodes.at(step)
        del data["horizon"]
        told = data["total_steps"] > 0
        return {**data, "total_steps": np.where(told, steps, 0)}, steps


def estimate_of(loop):
    """The outer gradients of a problem's tasks as a function.

    It maps the student's weights, the data of all tasks and their horizon to a
    `TaskResult`, stacked over tasks.

    Args:
        loop: `OuterLoop` of the one problem.
    """
    import jax

    distillation, (problem,) = loop.distillation, loop.problems
    frozen = _values(distillation.student.non_trainable_variables)
    teachers = [
        _values(inner_loop.policy_variables(teacher))
        for teacher in distillation.teachers
    ]

    def estimate(weights, data, steps):
        def one(task):
            tensors = Tensors(
                weights=weights,
                frozen=frozen,
                teachers=teachers,
                offsets=[],
                meta_weight=np.float32(1.0),
                imitation_weight=np.float32(0.0),
            )
            # The horizon is not mapped over: what is after it does not run.
            task = {**task, "horizon": steps}
            return loop.estimator.estimate(
                Task(distillation, problem, tensors, task, (), [], ()), weights
            )

        return jax.vmap(one)(data)

    return jax.jit(estimate)


def work(name, index, pipe, options):
    """What the process of a problem does."""
    try:
        _work(name, index, pipe, options)
    except EOFError:
        pass  # the run is over
    except Exception:
        print(f"{name}:\n{traceback.format_exc()}", flush=True)
        pipe.send(None)


def _work(name, index, pipe, options):
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")
    trainer = config.build(configured(options, name)).trainer
    trainer.episodes = trainer.episodes.changed(
        unroll=UNROLL, depth=(1, options.depth), seed=(options.seed, index)
    )
    loop = outer_loop_of(trainer)
    data = Data(trainer.episodes, options.seed)
    weights = _values(trainer.student.trainable_variables)
    estimate = estimate_of(loop).lower(weights, *data.make(0)).compile()
    pipe.send(name)
    while True:
        step, weights = pipe.recv()
        inputs, steps = data.at(step)
        began = time.perf_counter()
        result = estimate(weights, inputs, steps)
        result = jax.tree.map(np.asarray, result)
        pipe.send(Answer(result, int(steps), time.perf_counter() - began))


class Processes:
    """The processes of all problems, of which some may be slow or fail.

    Args:
        names: List of strings, the names of the problems.
        options: Namespace of the command's options.
    """

    def __init__(self, names, options):
        context = multiprocessing.get_context("spawn")
        self.pipes, self.processes = {}, []
        for index, name in enumerate(names):
            self.pipes[name], other = context.Pipe()
            process = context.Process(
                target=work, args=(name, index, other, options), daemon=True
            )
            process.start()
            self.processes.append(process)
        #: Those that compile, those that have nothing to do, and those that
        #: are at a step.
        self.late, self.idle, self.busy = set(names), set(), set()

    def wait(self, seconds):
        """Waits until all are ready, at most so long."""
        self._received(self.late, time.perf_counter() + seconds)

    def step(self, number, weights):
        """Has an outer step made; returns a dict of `Answer` by problem."""
        self._received(self.late, time.perf_counter())
        began = time.perf_counter()
        for name in sorted(self.idle):
            self.pipes[name].send((number, weights))
        self.busy, self.idle = self.busy | self.idle, set()
        if not self.busy:
            raise RuntimeError("No problem has a process that is ready.")
        quorum = math.ceil(QUORUM * len(self.busy))
        answers = self._received(self.busy, began + 600.0, quorum)
        now = time.perf_counter()
        rest = now + GRACE * (now - began)
        return answers | self._received(self.busy, rest)

    def _received(self, names, until, enough=math.inf):
        """What processes send until then; they are idle afterwards."""
        found = {}
        while names and len(found) < enough:
            for name in sorted(names):
                if not self.pipes[name].poll():
                    continue
                names.discard(name)
                answer = self.pipes[name].recv()
                if answer is not None:  # it has not failed
                    found[name] = answer
                    self.idle.add(name)
            if time.perf_counter() >= until:
                break
            time.sleep(0.001)
        return found

    def stop(self):
        for process in self.processes:
            process.kill()


def train(options):
    """Runs outer steps until the time is over, and saves the student."""
    began = time.perf_counter()
    names = options.problems
    processes = Processes(names, options)
    trainer = config.build(configured(options, names[0])).trainer
    variables = trainer.student.trainable_variables
    optimizer = keras.optimizers.Adam(options.rate, beta_2=0.98)
    optimizer.build(variables)
    folder = pathlib.Path(options.directory)
    folder.mkdir(parents=True, exist_ok=True)
    processes.wait(options.wait)
    print(f"not ready yet: {sorted(processes.late) or 'none'}", flush=True)
    start, step, leads = time.perf_counter(), 0, {}
    with (folder / "log.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            "step problem horizon tasks objective lead norm seconds".split()
        )
        while time.perf_counter() - began < options.seconds:
            weights = _values(variables)
            answers = processes.step(step, weights)
            share = (time.perf_counter() - start) / max(
                options.seconds - (start - began), 1.0
            )
            fall = 0.5 + 0.5 * math.cos(math.pi * min(share, 1.0))
            optimizer.learning_rate = options.rate * max(0.02, fall)
            gradients, count = trainer.balance.mean(
                weights, [answer.result for answer in answers.values()]
            )
            if count > 0:
                optimizer.apply(gradients, variables)
            for name, answer in answers.items():
                row = _figures(answer)
                leads[name] = row[3]
                rows.writerow([step, name, *(f"{value:.5g}" for value in row)])
            file.flush()
            step += 1
            if step % 5 == 0:
                values = list(leads.values())
                print(
                    f"{time.perf_counter() - began:.0f} s, step {step}: lead "
                    f"{np.mean(values):+.3f}, worst {max(values):+.3f}",
                    flush=True,
                )
    processes.stop()
    students.save(
        trainer.student,
        folder / "optimizer",
        "benchmarks.problem_processes",
        options,
        outer_steps=step,
    )


def _figures(answer):
    result = answer.result
    tasks = len(result.counts)
    joined = np.concatenate(
        [gradient.reshape(tasks, -1) for gradient in result.gradients], axis=1
    )
    leads = result.figures.leads()[result.counts]
    norms = np.linalg.norm(joined.astype("float64"), axis=1)
    return [
        answer.horizon,
        int(result.counts.sum()),
        result.figures.losses[:, 1].mean(),
        leads.mean() if leads.size else np.nan,
        np.median(norms),
        answer.seconds,
    ]


def _values(variables):
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    parser.add_argument("--start", help="folder of a student to go on from")
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--depth", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=4e-3)
    parser.add_argument("--seconds", type=float, default=550.0)
    parser.add_argument("--wait", type=float, default=130.0)
    parser.add_argument("--problems", nargs="+", default=list(BREADTH))
    train(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
