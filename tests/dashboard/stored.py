"""Stored evaluations and runs, made up for the tests of the page."""

import json

import numpy as np

from keras_l2o.evaluation import storage
from keras_l2o.strategies import Period
from keras_l2o.strategies import Row
from keras_l2o.strategies import rows as rows_module

EPOCHS, PER_EPOCH = 5, 20
STEPS = EPOCHS * PER_EPOCH


def evaluation(
    directory, problem, end, *, rule=None, rate=None, runs=3, pool=False,
    diverged=False, accuracy=0.9,
):  # fmt: skip
    """Stores an evaluation whose loss falls from 2 to `end`.

    The runs are at 0.9, 1.0 and 1.1 times that.
    """
    curve = np.geomspace(2.0, end, STEPS)
    factors = np.linspace(0.9, 1.1, runs) if runs > 1 else np.ones(1)
    losses = factors[:, None] * curve
    validation = losses[:, PER_EPOCH - 1 :: PER_EPOCH].copy()
    if diverged:
        losses[0, 50:] = validation[0, 2:] = np.nan
    arrays = {
        "losses": losses.astype("float32"),
        "validation_loss": validation,
        "validation_accuracy": np.full((runs, EPOCHS), accuracy),
        "seconds": np.full((runs, EPOCHS), 0.1),
        "diverged": np.full(runs, -1),
        "seeds": np.arange(runs),
    }
    if pool:
        share = np.linspace(0.2, 0.8, 10)[:, None] * np.ones(4)
        weights = np.stack([share, 1 - share], axis=-1)
        arrays |= {
            "trace_steps": np.arange(0, STEPS, 10),
            "trace_layers": np.array(["1 dense", "2 dense", "3 a", "4 b"]),
            "trace_pool": np.array(["adam", "rmsprop"]),
            "trace_weights": np.stack([weights] * runs),
        }
    name = f"{rule} {rate:g}" if rule else str(directory)
    settings = {
        "problem": problem, "optimizer": name, "rule": rule, "rate": rate,
        "dataset": "digits", "steps": STEPS, "epoch_steps": PER_EPOCH,
    }  # fmt: skip
    path = storage.path_in(directory, problem)
    storage.Evaluation(settings, arrays).write(path)
    return path


def run(directory, periods=3, replicates=0):
    """Stores a run of meta-training, as far as `periods`."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "logs").mkdir(exist_ok=True)
    config = {"run": {"policy": {"name": "feature_mlp"}}}
    (directory / "config.json").write_text(json.dumps(config))
    rows = []
    for number in range(periods):
        loss = -1.0 - number
        figures = {"val_log_loss": loss, "val_adam_log_loss": -2.0}
        for replicate in range(replicates):
            figures[f"val_log_loss_replicate_{replicate}"] = loss + replicate
        period = Period(
            stage=0, period=number, attempt=0, depth=1, unroll=5, episodes=1,
            warmup=0, imitation_weight=0.5, validation_depth=1, start="",
        )  # fmt: skip
        name = f"0-{number}-0"
        rows.append(
            Row(period, loss, checkpoint=name, figures=figures, seconds=2.0)
        )
        log = "step,meta_loss\n0,-1.5\n1,-2.5\n"
        (directory / "logs" / f"{name}.csv").write_text(log)
    if periods:
        summary = directory / "summary.csv"
        summary.write_text(rows_module.dump(rows))


def everything(root):
    """A folder with families, rules, a search, and a run."""
    for problem, scale in (("mlp_train", 1.0), ("conv_train", 2.0)):
        for number, end in ((1, 0.2), (2, 0.3)):
            evaluation(root / "wide" / str(number), problem, scale * end)
        evaluation(root / "narrow" / "1", problem, scale * 0.5, pool=True)
        evaluation(
            root / "baselines" / "adam-0.01", problem, scale * 0.4,
            rule="adam", rate=0.01,
        )  # fmt: skip
        for rate in (0.01, 0.1):
            evaluation(
                root / "gridsearch" / f"adam-{rate}" / "seed-0", problem,
                scale * 0.6, rule="adam", rate=rate, runs=1,
            )  # fmt: skip
    evaluation(root / "broken" / "1", "mlp_train", 0.1, diverged=True)
    run(root / "mine")
    return root
