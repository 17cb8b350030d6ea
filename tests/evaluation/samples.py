"""Evaluations made up for tests of pictures and tables."""

import numpy as np
import pandas

from keras_l2o import evaluation


def frames(epochs=10, runs=4):
    """Two problems, two optimizers, three replicates of one of them."""
    rng = np.random.default_rng(0)
    parts = []
    for problem, floor in (("conv_train", 0.03), ("conv_fmnist", 0.3)):
        for optimizer, replicates in (("choice-large", 3), ("adam 0.005", 1)):
            for replicate in range(1, replicates + 1):
                noise = rng.normal(scale=0.1, size=(runs, epochs))
                level = floor * np.exp(0.2 * rng.normal())
                curve = level + np.exp(-np.arange(epochs))
                losses = curve * np.exp(noise)
                if optimizer == "adam 0.005":
                    losses[0, epochs // 2 :] = np.nan
                parts.append(
                    pandas.DataFrame(
                        {
                            "problem": problem,
                            "optimizer": optimizer,
                            "replicate": replicate,
                            "run": np.repeat(np.arange(runs), epochs),
                            "seed": np.repeat(np.arange(runs), epochs),
                            "epoch": np.tile(np.arange(1, epochs + 1), runs),
                            "step": np.tile(
                                468 * np.arange(1, epochs + 1), runs
                            ),
                            "train_loss": losses.ravel() / 2,
                            "validation_loss": losses.ravel(),
                            "validation_accuracy": 1 - losses.ravel() / 3,
                            "seconds": 1.0,
                        }
                    )
                )
    return pandas.concat(parts, ignore_index=True)


def traced():
    """An evaluation of a choice of three rules on three layers."""
    rng = np.random.default_rng(0)
    steps = np.arange(0, 1000, 10)
    logits = rng.normal(size=(2, len(steps), 3, 3)) * 0.3
    logits[..., 0] += steps[:, None] / 500
    weights = np.exp(logits)
    weights /= weights.sum(axis=-1, keepdims=True)
    return evaluation.Evaluation(
        {"problem": "conv_train", "optimizer": "choice"},
        {
            "seeds": np.arange(2),
            "trace_steps": steps,
            "trace_layers": np.array(["1 conv2d", "2 conv2d", "3 dense"]),
            "trace_pool": np.array(["rmsprop", "adam", "sgd"]),
            "trace_updates": np.ones((2, len(steps), 3)),
            "trace_weights": weights,
        },
    )


def perturbed():
    """A summary by perturbation and magnitude."""
    magnitudes = [0.0, 1e-4, 5e-4, 1e-3, 1e-2]
    spreads = np.array([0.3, 0.25, 0.18, 0.15, 0.4])
    return pandas.concat(
        [
            pandas.DataFrame(
                {
                    "perturbation": name,
                    "magnitude": magnitudes,
                    "meta": spreads * scale,
                    "meta_low": spreads * scale * 0.6,
                    "meta_high": spreads * scale * 2.0,
                    "mean": [-3.5, -3.55, -3.6, -3.6, -3.2],
                    "low": [-3.7, -3.7, -3.7, -3.7, -3.5],
                    "high": [-3.3, -3.4, -3.5, -3.5, -2.9],
                }
            )
            for name, scale in (("gaussian", 1.0), ("pgd", 1.2))
        ],
        ignore_index=True,
    )
