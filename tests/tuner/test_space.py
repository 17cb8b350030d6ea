import itertools
import math

import keras_tuner
import pytest

from keras_l2o import perturbations
from keras_l2o.perturbations.names import NAMES
from keras_l2o.tuner import space
from keras_l2o.tuner.search import TUNERS
from keras_l2o.tuner.search import make_tuner
from tests.tuner.helpers import hypermodel

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:keras_tuner.*"
)


def draw(oracle, count):
    """The values of an oracle's first trials, asked for by several workers."""
    names = (f"worker{index}" for index in itertools.count())
    trials = [oracle.create_trial(next(names)) for _ in range(count)]
    # a grid's next trial may have to wait for the last
    trials = [trial for trial in trials if trial.status == "RUNNING"]
    return [trial.hyperparameters.values for trial in trials]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("up_front", [True, False])
@pytest.mark.parametrize("name", sorted(TUNERS))
def test_zero_perturbation_is_the_first_trial_of_every_oracle(
    tmp_path, name, up_front, seed
):
    model = hypermodel()
    options = {"hyperparameters": model.space()} if up_front else {}
    if name != "hyperband":
        options["max_trials"] = 8
    tuner = TUNERS[name](
        model, directory=str(tmp_path), seed=seed + 1, **options
    )
    tuner.oracle.verbose = 0
    first, *others = draw(tuner.oracle, 4)
    assert first["perturbation"] == "none"
    assert {key.partition("/")[0] for key in first} <= {"perturbation", "tuner"}
    assert model.perturbation(first_of(tuner)) is None
    assert others
    assert all(values["perturbation"] != "none" for values in others)


def first_of(tuner):
    return next(iter(tuner.oracle.trials.values())).hyperparameters


def test_each_kind_is_drawn_log_uniformly_in_its_range(tmp_path):
    model = hypermodel(steps=(1, 2))
    tuner = keras_tuner.RandomSearch(
        model, max_trials=400, directory=str(tmp_path), seed=1
    )
    tuner.oracle.verbose = 0
    values = draw(tuner.oracle, 400)
    assert {row["perturbation"] for row in values} == {"none", *NAMES}
    for kind, (low, high) in space.MAGNITUDES.items():
        drawn = [
            row[f"{kind}_magnitude"]
            for row in values
            if row["perturbation"] == kind
        ]
        assert all(low <= magnitude <= high for magnitude in drawn)
        below = [m for m in drawn if m < math.sqrt(low * high)]
        assert 0.2 < len(below) / len(drawn) < 0.8
    steps = {row["pgd_steps"] for row in values if row["perturbation"] == "pgd"}
    assert steps == {1, 2}


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_the_default_of_each_kind_is_the_perturbations_own(kind):
    hp = hypermodel().space()
    hp.values = {"perturbation": kind}
    for parameter in hp.space:
        if hp.is_active(parameter):
            hp.values.setdefault(parameter.name, parameter.default)
    made = hypermodel().perturbation(hp)
    assert type(made) is type(perturbations.get(kind))
    assert made.magnitude == perturbations.get(kind).magnitude


def test_kinds_and_magnitudes_narrow_the_space():
    model = hypermodel(
        kinds=["gaussian"], magnitudes={"gaussian": (1e-2, 1e-1)}
    )
    hp = model.space()
    assert [parameter.name for parameter in hp.space] == [
        "perturbation", "gaussian_magnitude",
    ]  # fmt: skip
    kind, magnitude = hp.space
    assert kind.values == ["none", "gaussian"]
    assert (magnitude.min_value, magnitude.max_value) == (1e-2, 1e-1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["gausian"]}, "must name perturbations.*'gausian'"),
        ({"magnitudes": {"pgd": (0.0, 1.0)}}, "positive numbers"),
        ({"replicates": 0}, "`replicates` must be an integer of at least 1"),
        ({"trainer": lambda seed: None}, "must be left out when `trainer`"),
    ],
)
def test_a_wrong_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        hypermodel(**options)


def test_a_search_that_was_stopped_takes_up_its_running_trial(
    tmp_path, monkeypatch
):
    def oracle():
        tuner = make_tuner("random", hypermodel(), tmp_path, 3, None)
        tuner.oracle.verbose = 0
        return tuner.oracle

    first = oracle().create_trial("tuner0")
    # another process, another name: alone at first, and now the chief
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
    again = oracle()
    second = again.create_trial("worker0")
    assert second.trial_id == first.trial_id
    assert second.hyperparameters.values == first.hyperparameters.values
    third = again.create_trial("worker1")
    assert third.hyperparameters.values["perturbation"] != "none"


def test_a_search_stopped_before_its_first_trial_starts_at_zero(tmp_path):
    make_tuner("random", hypermodel(), tmp_path, 3, None).save()
    tuner = make_tuner("random", hypermodel(), tmp_path, 3, None, seed=5)
    tuner.oracle.verbose = 0
    assert draw(tuner.oracle, 1) == [{"perturbation": "none"}]


def test_bayesian_search_goes_on_from_what_trials_report(tmp_path):
    # gaussian noise of 3e-3 is best, everything else is worse
    tuner = make_tuner(
        "bayesian", hypermodel(kinds=["gaussian"]), tmp_path, 12, 1
    )
    oracle = tuner.oracle
    oracle.verbose = 0
    for _ in range(12):
        trial = oracle.create_trial("tuner0")
        values = trial.hyperparameters.values
        magnitude = values.get("gaussian_magnitude", 1.0)
        loss = abs(math.log(magnitude / 3e-3))
        oracle.update_trial(trial.trial_id, {"default_objective": loss})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    values = [trial.hyperparameters.values for trial in oracle.trials.values()]
    assert len(values) == 12
    assert values[0] == {"perturbation": "none"}
    best = oracle.get_best_trials()[0].hyperparameters.values
    assert 2e-3 < best["gaussian_magnitude"] < 4.5e-3
