"""What distillation is worth to `General`, and which estimator: four arms.

    KERAS_BACKEND=jax python -m benchmarks.arms train results/arms --seed 1
    KERAS_BACKEND=jax python -m benchmarks.arms score results/arms REFERENCE

Each arm meta-trains the same rule on the same few problems of
`keras_l2o.problems.BREADTH` for the same number of inner steps of the student:
by backpropagation through whole episodes, or by NRES in truncations; after
distilling the pool of the preset `general_base` with a fifth of the inner
steps, or without. `train` runs the arms of one seed one after the other with
`keras-l2o train`, goes on where it was stopped, and passes over what is done.

`score` trains problems with each arm's student, and with that which they start
from, as [benchmarks/evolution](evolution/__main__.py) does, and writes
`scores.csv`: for each arm, seed, problem and horizon the mean of the logarithms
of two losses' ratios to those of Adam along a cosine at the best of nine rates
(of one, that on fresh data, where the examples are few).
REFERENCE is the file that such a search has stored. `show` prints means of what
has been written.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd

from benchmarks.evolution import __main__ as evolution
from keras_l2o.problems import BREADTH

PROBLEMS = (
    "tiny_perceptron",
    "tiny_deep_tanh",
    "tiny_batch_norm",
    "tiny_regression",
    "tiny_factorization",
    "tiny_few_rows",
    "tiny_small_weights",
    "tiny_transformer",
)
#: Problems that no arm has seen.
OTHERS = (
    "tiny_label_noise",
    "tiny_residual",
    "tiny_variational",
    "tiny_quadratic",
    "tiny_recurrent",
    "tiny_sigmoid",
    "tiny_raw_table",
    "tiny_bumps",
    "tiny_large_weights",
    "tiny_few_digits",
)
#: Inner steps of a student in all.
INNER_STEPS = 64_000
UNROLL, DEPTH, AT_ONCE = 50, 8, 4
#: The mean of log-uniform horizons of `UNROLL` to `DEPTH * UNROLL` steps.
MEAN_HORIZON = UNROLL * (DEPTH - 1) / np.log(DEPTH)
#: The share of the inner steps that the distillation has.
DISTILLATION = 0.2
PERIODS = 2
ESTIMATORS = ("backpropagation", "nres")


def outer_steps(estimator, inner):
    """How many outer steps have so many inner steps of a student."""
    if estimator == "backpropagation":
        return round(inner / (AT_ONCE * MEAN_HORIZON) / PERIODS) * PERIODS
    # A truncation of each problem with a pair of particles.
    of_one, period = len(PROBLEMS) * UNROLL * 2, PERIODS * DEPTH
    return round(inner / of_one / period) * period


def fields(estimator, steps, periods):
    """The fields of a run that the arms do not have from presets."""
    chosen = {
        "problems": [{"name": name} for name in PROBLEMS],
        "strategy/num_periods": periods,
        "strategy/depth": DEPTH,
        "optimizer/config/learning_rate/config/decay_steps": steps,
    }
    if estimator == "backpropagation":
        chosen["training/problems_per_step"] = AT_ONCE
        chosen["strategy/episodes"] = steps // periods
    else:
        chosen["training/problems_per_step"] = None
        chosen["training/estimator"] = {"name": "nres", "config": {"pairs": 1}}
        # An episode has as many outer steps as truncations.
        chosen["strategy/episodes"] = steps // periods // DEPTH
    return chosen


def train(options):
    """Runs the arms of a seed."""
    folder = pathlib.Path(options.directory, str(options.seed))
    distilled = folder / "distillation"
    share = round(INNER_STEPS * DISTILLATION)
    steps = outer_steps("backpropagation", share)
    run(
        ["breadth", "general_base"],
        distilled,
        options.seed,
        {**fields("backpropagation", steps, 1), "policy/orthogonal": True},
    )
    for estimator in ESTIMATORS:
        for start in (None, distilled):
            inner = INNER_STEPS - (share if start else 0)
            steps = outer_steps(estimator, inner)
            name = estimator + ("-distilled" if start else "")
            chosen = fields(estimator, steps, PERIODS)
            if start:
                chosen["policy/directory"] = str(start)
            else:
                chosen["policy/orthogonal"] = True
            run(["breadth", "general"], folder / name, options.seed, chosen)


def run(presets, directory, seed, chosen):
    """Trains a student, if that is not done, with the command line."""
    words = [f"--{path}={json.dumps(value)}" for path, value in chosen.items()]
    command = [
        sys.executable, "-m", "keras_l2o_commands", "train",
        f"--presets={','.join(presets)}", f"--directory={directory}",
        f"--seed={seed}", *words,
    ]  # fmt: skip
    subprocess.run(command, check=True)


def students(folder):
    """The policies by arm and seed, and that which all start from."""
    import keras_l2o
    from benchmarks.evolution.rules import general

    found = {("start", 0): general()[0]}
    for path in sorted(folder.glob("*/*/config.json")):
        arm, seed = path.parent.name, int(path.parent.parent.name)
        if arm == "distillation" or arm.split("-")[0] in ESTIMATORS:
            runs = keras_l2o.strategies.RunDirectory(path.parent)
            (best,) = runs.optimizers().values()
            found[arm, seed] = keras_l2o.load(best).policy
    return found


def score(options):
    """Writes the scores of all students."""
    import pickle

    import jax.numpy as jnp

    from benchmarks.evolution import runs
    from benchmarks.evolution.workers import Job

    folder = pathlib.Path(options.directory)
    reference = evolution.best_of(
        pickle.loads(pathlib.Path(options.reference).read_bytes()), BREADTH
    )
    found = students(folder)
    policy = found["start", 0]
    stacks = [
        jnp.stack([jnp.asarray(v.value) for v in variables])
        for variables in zip(*(p.trainable_variables for p in found.values()))
    ]

    def weights(setting):
        return [stack[setting[0].astype(int)] for stack in stacks], 1.0

    rows = []
    for name in (*PROBLEMS, *OTHERS):
        made = runs.Runs(name, policy, weights)
        settings = np.arange(len(found))[:, None]
        for seed in range(runs.SEEDS):
            for horizon in runs.HORIZONS:
                scores = evolution.scores_of(
                    Job(name, seed, horizon),
                    made(settings, seed, horizon),
                    reference,
                )
                rows += [
                    (*key, name, name in PROBLEMS, seed, horizon, value)
                    for key, value in zip(found, scores)
                ]
        print(name, flush=True)
    columns = ["arm", "seed", "problem", "seen", "data", "horizon", "score"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "scores.csv", index=False)
    show(options)


def show(options):
    """Prints means over problems, and their spread over seeds."""
    table = pd.read_csv(pathlib.Path(options.directory, "scores.csv"))
    means = table.groupby(["arm", "seen", "horizon", "seed"])["score"].mean()
    grouped = means.groupby(["arm", "seen", "horizon"])
    print(grouped.agg(["mean", "min", "max", "count"]).round(3).to_string())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for work in (train, score, show):
        command = commands.add_parser(work.__name__)
        command.add_argument("directory")
        command.set_defaults(work=work)
        if work is train:
            command.add_argument("--seed", type=int, default=1)
        if work is score:
            command.add_argument("reference")
    options = parser.parse_args(arguments)
    options.work(options)


if __name__ == "__main__":
    main()
