"""A user's own policy, perturbation, objective and problem, all the way."""

import keras_tuner
import numpy as np
import pytest
from keras import ops
from typer.testing import CliRunner

import keras_l2o
from keras_l2o import config
from keras_l2o import hub
from keras_l2o import policies
from keras_l2o import strategies
from tests.own_classes import CUSTOM_OBJECTS
from tests.own_classes import MyObjective
from tests.own_classes import MyProblem
from tests.own_classes import MyRule
from tests.own_classes import Shake

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:keras_tuner.*"
)


def trainer(**options):
    return keras_l2o.MetaTrainer(
        MyRule(),
        [MyRule(), policies.Adam(0.01)],
        [MyProblem()],
        objective=MyObjective(reduce=ops.logsumexp),
        **options,
    )


def run(directory, periods=2, **options):
    made = trainer(**options)
    made.compile()
    strategy = strategies.Simple(
        directory, num_periods=periods, unroll=4, depth=1, episodes=1
    )
    made.fit(callbacks=[strategy, Shake()], verbose=0)
    return made


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("own") / "run"
    run(directory)
    return directory


def test_a_run_of_own_classes_leaves_an_optimizer(finished):
    loaded = keras_l2o.load(
        finished / "optimizer", custom_objects=CUSTOM_OBJECTS
    )
    assert type(loaded.policy) is MyRule


def test_a_strategy_loads_what_it_has_left_with_the_classes(finished):
    options = {"num_periods": 2, "custom_objects": CUSTOM_OBJECTS}
    loaded = strategies.Simple(finished, **options).load_optimizer()
    assert type(loaded.policy) is MyRule
    with pytest.raises(hub.ForeignClass, match="mine>MyRule"):
        strategies.Simple(finished).load_optimizer()
    with pytest.raises(strategies.RunError, match="no optimizer of replicate"):
        strategies.Simple(finished).load_optimizer(3)
    with pytest.raises(strategies.RunError, match="has no directory"):
        strategies.Simple().load_optimizer()


def test_a_run_of_own_classes_is_taken_up_again_in_the_same_session(finished):
    before = (finished / "summary.csv").read_bytes()
    run(finished)
    assert (finished / "summary.csv").read_bytes() == before


def test_evaluate_takes_own_policies_and_problems(finished, tmp_path):
    options = {"repeat": 1, "steps": 4}
    frame = keras_l2o.evaluate(MyRule(), MyProblem(), **options)
    assert len(frame) == 1
    with pytest.raises(hub.ForeignClass, match="mine>MyRule"):
        keras_l2o.evaluate(str(finished), MyProblem(), **options)
    for source in (finished, finished / "optimizer"):
        frame = keras_l2o.evaluate(
            str(source),
            MyProblem(),
            directory=tmp_path / source.name,
            custom_objects=CUSTOM_OBJECTS,
            **options,
        )
        assert np.isfinite(frame.train_loss).all()


def test_an_own_policy_that_was_trained_can_teach(finished):
    with pytest.raises(hub.ForeignClass):
        config.trained_policy(finished)
    teacher = config.trained_policy(finished, CUSTOM_OBJECTS)
    assert type(teacher) is MyRule


def test_a_run_of_an_own_policy_is_packaged_as_it_is(finished, tmp_path):
    from keras_l2o.cli import application

    result = CliRunner().invoke(
        application,
        ["package", str(finished), str(tmp_path / "packed")],
        catch_exceptions=False,
    )
    assert result.exit_code == 0
    for path in (finished / "optimizer").iterdir():
        copied = tmp_path / "packed" / path.name
        assert copied.read_bytes() == path.read_bytes()


def test_a_search_over_own_classes_keeps_its_best(tmp_path):
    from keras_l2o.tuner import search

    hypermodel = keras_l2o.PerturbationHyperModel(
        lambda seed: (trainer(seed=seed), [Shake()]),
        kinds=[Shake],
        magnitudes={Shake: (1e-3, 1e-2)},
        replicates=1,
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel,
        max_trials=4,
        hyperparameters=hypermodel.space(),
        directory=tmp_path,
        project_name=search.PROJECT,
    )
    tuner.search(epochs=1, steps_per_epoch=1, verbose=0)
    best = search.best_trial(search.read_trials(tmp_path))
    search.write_best(tmp_path, best)
    loaded = keras_l2o.load(
        tmp_path / "optimizer", custom_objects=CUSTOM_OBJECTS
    )
    assert type(loaded.policy) is MyRule
    trials = search.read_trials(tmp_path)
    tried = [trial.perturbation for trial in trials if trial.perturbation]
    assert tried
    for perturbation in tried:
        assert perturbation["name"] == "Shake"
        assert 1e-3 <= perturbation["config"]["magnitude"] <= 1e-2


def test_a_search_over_an_own_perturbation_needs_its_range():
    with pytest.raises(ValueError, match=r"magnitudes.*Shake"):
        keras_l2o.PerturbationHyperModel(kinds=[Shake])
    with pytest.raises(ValueError, match="Perturbation"):
        keras_l2o.PerturbationHyperModel(kinds=[MyRule])
