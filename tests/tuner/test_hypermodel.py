import importlib
import json
import random
import sys

import keras
import keras_tuner
import numpy as np
import pytest

import keras_l2o
from keras_l2o import policies
from keras_l2o import strategies
from tests.tuner.helpers import TINY
from tests.tuner.helpers import hypermodel
from tests.tuner.helpers import metrics

pytestmark = [
    pytest.mark.backend,
    pytest.mark.usefixtures("few_outer_steps"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner.*"),
]

FIT = {"epochs": 2, "steps_per_epoch": 1, "verbose": 0}


def search(directory, model, trials, **arguments):
    tuner = keras_tuner.RandomSearch(
        model, max_trials=trials, directory=str(directory), seed=1
    )
    tuner.search(**{**FIT, **arguments})
    return tuner


def test_a_search_tries_zero_and_its_best_is_a_trained_optimizer(tmp_path):
    model = hypermodel(kinds=["gaussian", "pgd"], replicates=2)
    logs = keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False)
    tuner = search(tmp_path, model, 2, callbacks=[logs])
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["COMPLETED"] * 2
    first, second = (trial.hyperparameters.values for trial in trials)
    assert first == {"perturbation": "none"}
    assert second["perturbation"] != "none"
    for trial in trials:
        figures = metrics(trial)
        assert figures["default_objective"] == pytest.approx(
            figures["val_log_loss"] + figures["val_log_loss_spread"]
        )
        assert figures["val_log_loss_spread"] > 0
        assert any((tmp_path / "logs" / trial.trial_id).rglob("replicate1"))
    # the best student of the best trial, in both places
    best = tuner.oracle.get_best_trials()[0]
    folder = tuner.get_trial_dir(best.trial_id) + "/optimizer"
    optimizer = keras_l2o.load(folder)
    trainer = tuner.get_best_models()[0]
    for kept, weight in zip(
        optimizer.policy.get_weights(), trainer.student.get_weights()
    ):
        np.testing.assert_array_equal(kept, weight)
    with open(f"{folder}/metadata.json") as file:
        metadata = json.load(file)
    loss = trainer.evaluate(verbose=0)["log_loss"]
    assert loss == pytest.approx(metadata["figures"]["val_log_loss"], abs=1e-5)
    assert loss < metadata["search"]["val_log_loss"]


def test_replicates_are_what_training_them_one_by_one_gives():
    model = hypermodel(replicates=2, spread_weight=3.0, seed=4)
    hp = model.space()
    hp.values = {"perturbation": "gaussian", "gaussian_magnitude": 0.01}
    figures = model.fit(hp, model.build(hp), **FIT)
    losses = []
    for seed in (4, 5):
        keras.utils.set_random_seed(seed)
        trainer = keras_l2o.MetaTrainer(
            policies.RNNProp(units=(2,)), **TINY, seed=seed
        )
        trainer.set_validation(seed=4 + 12345)
        perturbation = keras_l2o.perturbations.Gaussian(0.01, seed)
        history = trainer.fit(callbacks=[perturbation], **FIT)
        losses.append(min(history.history["val_log_loss"]))
    spread = abs(losses[0] - losses[1]) / np.sqrt(2)
    assert spread > 1e-4
    assert figures == pytest.approx(
        {
            "val_log_loss": np.mean(losses),
            "val_log_loss_spread": spread,
            "default_objective": np.mean(losses) + 3 * spread,
        },
        abs=1e-5,
    )


def test_a_trial_starts_from_a_trained_student_and_leaves_global_seeds():
    student = policies.RNNProp(units=(2,))
    student.build(None)
    model = keras_l2o.PerturbationHyperModel(student=student, **TINY)
    random.seed(4)
    expected = random.Random(4).random()
    trainer = model.build(model.space())
    assert random.random() == expected
    assert trainer.student is not student
    for own, first in zip(trainer.student.get_weights(), student.get_weights()):
        np.testing.assert_array_equal(own, first)


def test_a_strategy_plans_a_trial_and_hyperband_its_length(tmp_path):
    lengths = []

    def trainer(seed):
        trainer = keras_l2o.MetaTrainer(
            policies.RNNProp(units=(2,)), **TINY, seed=seed
        )
        plan = strategies.Simple(num_periods=7, unroll=2, depth=1, episodes=1)
        count = keras.callbacks.LambdaCallback(
            on_train_end=lambda logs: lengths.append(len(plan.rows))
        )
        return trainer, [plan, count]

    model = keras_l2o.PerturbationHyperModel(
        trainer, kinds=["gaussian"], replicates=1
    )
    tuner = keras_tuner.Hyperband(
        model, max_epochs=2, factor=2, directory=str(tmp_path), seed=1
    )
    tuner.search(verbose=0)
    trials = list(tuner.oracle.trials.values())
    assert {trial.status for trial in trials} == {"COMPLETED"}
    asked = [trial.hyperparameters.values["tuner/epochs"] for trial in trials]
    assert set(asked) == {1, 2}
    # a strategy's last period ends before its fit does
    assert lengths == asked


def test_a_loss_that_is_not_finite_is_a_failed_trial(tmp_path):
    tuner = search(tmp_path, hypermodel(learning_rate=1e38), 2)
    trials = list(tuner.oracle.trials.values())
    assert [trial.status for trial in trials] == ["FAILED"] * 2
    assert "is not finite" in trials[0].message


@pytest.mark.parametrize("missing", ["keras_tuner", "tensorboard"])
def test_without_keras_tuner_the_error_names_the_extra(monkeypatch, missing):
    importlib.import_module("keras_l2o.tuner")
    # As in a process that has not imported it.
    monkeypatch.delitem(sys.modules, "keras_l2o.tuner")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match="A search needs the extra 'tuner'"):
        _ = keras_l2o.PerturbationHyperModel
