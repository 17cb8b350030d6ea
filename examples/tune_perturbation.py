"""Searches for the perturbation that distils best on digits, and uses it.

    python examples/tune_perturbation.py

Ten trials of two students each. It may be stopped at any time: the same
command goes on with the search. The command line has the same search on
several processes or machines: keras-l2o tune --help.
"""

import argparse
import pathlib

import keras
import keras_tuner

import keras_l2o


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", default="results/tune-digits")
    parser.add_argument("--problem", default="digits_train")
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="of an epoch")
    parser.add_argument("--replicates", type=int, default=2)
    parser.add_argument("--unroll", type=int, default=20)
    arguments = parser.parse_args()

    hypermodel = keras_l2o.PerturbationHyperModel(
        problems=arguments.problem,
        unroll=arguments.unroll,
        replicates=arguments.replicates,
    )
    tuner = keras_tuner.BayesianOptimization(
        hypermodel,
        max_trials=arguments.trials,
        num_initial_points=max(3, arguments.trials // 3),
        max_consecutive_failed_trials=arguments.trials + 1,
        hyperparameters=hypermodel.space(),
        seed=1,
        directory=arguments.output,
        project_name="trials",
    )
    tuner.search(
        epochs=arguments.epochs, steps_per_epoch=arguments.steps, verbose=0
    )

    best, *_ = tuner.oracle.get_best_trials()
    print("zero perturbation:", score(tuner.oracle.trials.values()))
    print("best:", best.hyperparameters.values, f"{best.score:.4f}")

    # What the best trial's best student does on a new model.
    folder = pathlib.Path(tuner.get_trial_dir(best.trial_id), "optimizer")
    optimizer = keras_l2o.load(folder)
    problem = keras_l2o.problems.get(arguments.problem)
    model = problem.new_model(0)
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = keras_l2o.problems.load_dataset("digits")
    model.fit(data.x_train, data.y_train, 128, epochs=5, verbose=0)
    figures = model.evaluate(
        data.x_validation, data.y_validation, verbose=0, return_dict=True
    )
    print(f"validation accuracy after 5 epochs: {figures['accuracy']:.3f}")
    print(f"optimizer: {folder}")


def score(trials):
    """The objective of the trial without a perturbation."""
    (zero,) = [
        trial
        for trial in trials
        if trial.hyperparameters.get("perturbation") == "none"
    ]
    return "failed" if zero.score is None else f"{zero.score:.4f}"


if __name__ == "__main__":
    main()
