"""Finds the numbers that `General` starts at, by evolution over trainings.

    KERAS_BACKEND=jax python -m benchmarks.evolution results/general/rule

A setting of some twenty numbers of the rule is judged by what its trainings of
tiny problems (`keras_l2o.problems.BREADTH`) come to, over horizons of 100, 400
and 1,600 steps, beside Adam along a cosine at the best of nine rates for that
problem and horizon, with the same weights and data. A score is the mean of two
logarithms of ratios, of the loss on fresh batches and of that at the end of the
training, from -0.4 to 2.5: so no problem is worth much more than another, and
what does not come to a finite loss is as bad as can be. A setting's value is
the mean over problems and half of the mean over the worst quarter of them.

CMA-ES (the package `cma`) moves the settings. In each generation, a process on
each core trains such of its problems, drawn at random, as take `--seconds`. So
two runs are not bit for bit alike. The search is stored after each generation
and goes on where it was stopped; the end of it is a folder that
`keras_l2o.load` reads.
"""

import argparse
import os
import pathlib
import pickle
import time
from typing import Any

import numpy as np

from benchmarks import students
from benchmarks.evolution import rules
from benchmarks.evolution.numbers import Numbers
from benchmarks.evolution.runs import HORIZONS
from benchmarks.evolution.runs import SEEDS
from benchmarks.evolution.workers import Job
from benchmarks.evolution.workers import Workers
from keras_l2o.files import whole
from keras_l2o.problems import BREADTH

#: Of the losses of a problem's first weights; it keeps those without a floor
#: from asking for nothing but smaller ones.
FLOOR = 0.003
BOUNDS = (-0.4, 2.5)


def reference_losses(
    path: pathlib.Path, names: list[str], cores: list[int]
) -> dict[Job, Any]:
    """Losses of the reference at the best rate of each problem and horizon."""
    found = pickle.loads(path.read_bytes()) if path.exists() else {}
    workers = None
    missing = [name for name in names if Job(name, 0, HORIZONS[0]) not in found]
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
        ]
        for answer in workers.run(settings, jobs):
            found[answer.job] = answer.losses
        print(f"reference: {', '.join(now)}", flush=True)
        whole.write(path, pickle.dumps(found))
    if workers:
        workers.stop()
    best = {}
    for job in found:
        if job.problem not in names:
            continue
        seeds = [found[job._replace(seed=s)] for s in range(SEEDS)]
        mean = np.mean([_log(s.judged, s.first[0]) for s in seeds], axis=0)
        index = int(np.argmin(mean))
        best[job] = type(seeds[0])(*(part[index] for part in found[job]))
    return best


def _log(loss, first):
    loss = np.where(np.isfinite(loss), loss, np.inf)
    return np.log(np.maximum(loss, 0.0) + FLOOR * first)


def scores(losses: Any, reference: Any) -> np.ndarray:
    """What trainings are worth beside the reference's; lower is better."""
    first = reference.first
    parts = [
        _log(own, first) - _log(other, first)
        for own, other in zip(losses[:2], reference[:2])
    ]
    return np.clip(np.mean(parts, axis=0), *BOUNDS)


def value(rows: np.ndarray) -> np.ndarray:
    """The value `(settings,)` of scores `(problems, settings)`."""
    worst = np.sort(rows, axis=0)[-max(1, len(rows) // 4) :]
    return rows.mean(axis=0) + 0.5 * worst.mean(axis=0)


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
    import cma

    folder = pathlib.Path(options.directory)
    folder.mkdir(parents=True, exist_ok=True)
    cores = sorted(os.sched_getaffinity(0))[: options.processes]
    reference = reference_losses(
        folder / "reference.pkl", options.problems, cores
    )
    policy, _ = rules.general()
    numbers = Numbers(policy)
    path = folder / "search.pkl"
    if path.exists():
        strategy = pickle.loads(path.read_bytes())
    else:
        strategy = cma.CMAEvolutionStrategy(
            np.zeros(len(numbers)),
            0.5,
            {
                "popsize": options.settings,
                "seed": options.seed,
                "verbose": -9,
            },
        )
    workers = Workers("general", options.problems, cores)
    first = np.repeat(np.array(strategy.mean)[None], options.settings, axis=0)
    workers.run(first, [Job(n, 0, min(HORIZONS)) for n in options.problems])
    while strategy.countiter < options.generations:
        began = time.perf_counter()
        rng = np.random.default_rng((options.seed, strategy.countiter))
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
        rows = np.stack([scores(a.losses, reference[a.job]) for a in answers])
        strategy.tell(settings, value(rows).tolist())
        whole.write(path, strategy.pickle_dumps())
        print(
            f"generation {strategy.countiter}: {len(jobs)} problems, value "
            f"{value(rows).mean():+.3f}, mean score {rows.mean():+.3f}, "
            f"{time.perf_counter() - began:.0f} s",
            flush=True,
        )
    workers.stop()
    numbers.assign(np.array(strategy.mean))
    students.save(
        policy,
        folder / "optimizer",
        "benchmarks.evolution",
        options,
        generations=strategy.countiter,
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--settings", type=int, default=14)
    parser.add_argument("--seconds", type=float, default=22.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--problems", nargs="+", default=list(BREADTH))
    search(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
