"""Finds the numbers that `General` starts at, by evolution over trainings.

    KERAS_BACKEND=jax python -m benchmarks.evolution results/evolution

A setting of some twenty numbers of the rule is judged by what its trainings of
tiny problems (`keras_l2o.problems.BREADTH`) come to, over horizons of 100, 400
and 1,600 steps, beside Adam along a cosine at the best of nine rates for that
problem and horizon, with the same weights and data. One of two seeds sees new
examples in each step, and the other 16 to 256 batches of them again and again.
A score is the mean of two logarithms of ratios, of the loss on fresh batches
and of that at the end of the training, from -0.4 to 2.5: so no problem is worth
much more than another, and what does not come to a finite loss is as bad as can
be. Where the examples come again, and the end of the training is what was
learned by heart, the first counts alone; problems that are of few examples by
themselves count twice. A setting's value is the mean over problems and half of
the mean over the worst quarter of them.

CMA-ES (the package `cma`) moves the settings. In each generation, a process on
each core trains such of its problems, drawn at random, as take `--seconds`. So
two runs are not bit for bit alike. There is a search for each of `--seeds`, in
the same processes, since they compile for minutes; with `--first`, they begin
where another of so many generations has ended. It is stored after each
generation and goes on where it was stopped; the end of it is a folder that
`keras_l2o.load` reads. Its `val_log_loss`, by which the seeds are compared, is
that of images which were kept apart ([validation.py](validation.py)).
"""

import argparse
import os
import pathlib
import pickle
import time
from collections.abc import Collection
from typing import Any

import numpy as np

import keras_l2o
from benchmarks import students
from benchmarks.evolution import rules
from benchmarks.evolution.numbers import Numbers
from benchmarks.evolution.runs import HORIZONS
from benchmarks.evolution.runs import SEEDS
from benchmarks.evolution.runs import by_heart
from benchmarks.evolution.runs import finite
from benchmarks.evolution.validation import validate
from benchmarks.evolution.workers import Job
from benchmarks.evolution.workers import Workers
from keras_l2o.files import whole
from keras_l2o.problems import BREADTH

#: Of the losses of a problem's first weights; it keeps those without a floor
#: from asking for nothing but smaller ones.
FLOOR = 0.003
BOUNDS = (-0.4, 2.5)
#: How often a problem counts whose examples are few.
FEW = 2.0
#: Of the search in whose end the others begin.
FIRST_SEED, FIRST_SPREAD = 0, 0.3


def reference_losses(
    path: pathlib.Path, names: list[str], cores: list[int]
) -> dict[Job, Any]:
    """Losses of the reference at the best rate of each problem and horizon."""
    found = pickle.loads(path.read_bytes()) if path.exists() else {}
    workers = None
    missing = [
        name
        for name in names
        if any(Job(name, s, HORIZONS[0]) not in found for s in range(SEEDS))
    ]
    settings = np.array(rules.RATES)[:, None]
    while missing:
        workers = workers or Workers("reference", missing, cores)
        # One problem for each process, so that none waits for long.
        now, missing = missing[: len(cores)], missing[len(cores) :]
        jobs = [
            Job(name, seed, horizon)
            for name in now
            for seed in range(SEEDS)
            for horizon in HORIZONS
            if Job(name, seed, horizon) not in found
        ]
        for answer in workers.run(settings, jobs):
            found[answer.job] = answer.losses
        print(f"reference: {', '.join(now)}", flush=True)
        whole.write(path, pickle.dumps(found))
    if workers:
        workers.stop()
    return best_of(found, names)


def best_of(found: dict[Job, Any], names: Collection[str]) -> dict[Job, Any]:
    """Losses at the best of the rates for that problem, data and horizon."""
    best = {}
    for job, losses in found.items():
        if job.problem in names:
            index = int(np.argmin(_log(losses.judged, losses.first[0])))
            best[job] = type(losses)(*(part[index] for part in losses))
    return best


def _log(loss, first):
    loss = np.where(np.isfinite(loss), loss, np.inf)
    return np.log(np.maximum(loss, 0.0) + FLOOR * first)


def scores(losses: Any, reference: Any, fresh_only: bool) -> np.ndarray:
    """What trainings are worth beside the reference's; lower is better."""
    first, count = reference.first, 1 if fresh_only else 2
    parts = [
        _log(own, first) - _log(other, first)
        for own, other in zip(losses[:count], reference[:count])
    ]
    return np.clip(np.mean(parts, axis=0), *BOUNDS)


def scores_of(job: Job, losses: Any, reference: dict[Job, Any]) -> np.ndarray:
    """The scores `(settings,)` of a job's trainings."""
    fresh_only = finite(job.seed) or by_heart(job.problem)
    return scores(losses, reference[job], fresh_only)


def value(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The value `(settings,)` of scores `(problems, settings)`."""
    worst = np.sort(rows, axis=0)[-max(1, len(rows) // 4) :]
    return np.average(rows, 0, weights) + 0.5 * worst.mean(axis=0)


def weight(job: Job) -> float:
    """How often a job counts."""
    return FEW if by_heart(job.problem) else 1.0


def drawn(rng, names, seconds, of_a_step):
    """Jobs of a process for so many seconds."""
    jobs = []
    for name in rng.permutation(names):
        horizons = [int(h) for h in rng.permutation([*HORIZONS, 400])]
        fits = [
            h for h in horizons if of_a_step[name] * h <= 0.35 * seconds
        ] or [min(HORIZONS)]
        cost = of_a_step[name] * fits[0]
        if cost <= seconds:
            jobs.append(Job(str(name), int(rng.integers(SEEDS)), fits[0]))
            seconds -= cost
    return jobs


def search(options):
    """Searches with one seed after the other, in the same processes."""
    folder = pathlib.Path(options.directory)
    folder.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))[: options.processes]
    stored = options.reference or folder / "reference.pkl"
    reference = reference_losses(pathlib.Path(stored), options.problems, cores)
    workers = None
    searches = [
        (seed, options.generations, options.spread) for seed in options.seeds
    ]
    if options.first:
        searches.insert(0, (FIRST_SEED, options.first, FIRST_SPREAD))
    start = np.zeros(len(Numbers(rules.general()[0])))
    found = {}
    for seed, generations, spread in searches:
        path = folder / str(seed)
        path.mkdir(exist_ok=True)
        strategy = started(path, start, spread, options.settings, seed)
        if strategy.countiter < generations:
            if workers is None:
                workers = Workers("general", options.problems, cores)
                settings = np.array([strategy.mean] * options.settings)
                first = [Job(n, 0, min(HORIZONS)) for n in options.problems]
                workers.run(settings, first)
            evolve(
                strategy, generations, workers, reference, path, options, seed
            )
        if options.first and seed == FIRST_SEED:
            start = np.array(strategy.mean)
        else:
            found[seed] = strategy
    if workers:
        workers.stop()
    save(found, folder, options)


def started(path, start, spread, settings, seed):
    """A search as it was stored, or a new one."""
    import cma

    if (path / "search.pkl").exists():
        return pickle.loads((path / "search.pkl").read_bytes())
    return cma.CMAEvolutionStrategy(
        start, spread, {"popsize": settings, "seed": seed + 1, "verbose": -9}
    )


def evolve(strategy, generations, workers, reference, path, options, seed):
    """Makes the generations that are missing."""
    while strategy.countiter < generations:
        began = time.perf_counter()
        rng = np.random.default_rng((seed, strategy.countiter))
        of_a_step = {
            name: seconds * options.settings
            for name, seconds in workers.seconds.items()
        }
        jobs = [
            job
            for names in workers.problems
            for job in drawn(rng, names, options.seconds, of_a_step)
        ]
        settings = strategy.ask()
        answers = workers.run(np.array(settings), jobs)
        rows = np.stack(
            [scores_of(a.job, a.losses, reference) for a in answers]
        )
        weights = [weight(answer.job) for answer in answers]
        values = value(rows, np.array(weights))
        strategy.tell(settings, values.tolist())
        whole.write(path / "search.pkl", strategy.pickle_dumps())
        print(
            f"seed {seed}, generation {strategy.countiter}: {len(jobs)} "
            f"problems, value {values.mean():+.3f}, mean score "
            f"{rows.mean():+.3f}, {time.perf_counter() - began:.0f} s",
            flush=True,
        )


def save(found, folder, options):
    """Writes the rules at the mean of the settings of each seed's search."""
    policies = []
    for strategy in found.values():
        policy, _ = rules.general()
        Numbers(policy).assign(np.array(strategy.mean))
        policies.append(policy)
    values = validate(policies)
    for (seed, strategy), policy, value in zip(found.items(), policies, values):
        target = folder / str(seed) / "optimizer"
        own = {"seeds": seed, "reference": None, "package": None}
        students.save(
            policy,
            target,
            "benchmarks.evolution",
            argparse.Namespace(**{**vars(options), **own}),
            generations=strategy.countiter,
            figures={"val_log_loss": value},
        )
        if options.package:
            package = pathlib.Path(options.package, str(seed))
            keras_l2o.hub.folder.copy(target, package, True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help=f"generations of a search with seed {FIRST_SEED}, in whose end "
        "the others begin",
    )
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--settings", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=22.0)
    parser.add_argument("--spread", type=float, default=0.5, help="at first")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--reference", help="file, to share it between runs")
    parser.add_argument("--package", help="folder for the rules of all seeds")
    parser.add_argument("--problems", nargs="+", default=list(BREADTH))
    options = parser.parse_args(arguments)
    if options.first and FIRST_SEED in options.seeds:
        parser.error(f"--first has the seed {FIRST_SEED}; take others.")
    search(options)


if __name__ == "__main__":
    main()
