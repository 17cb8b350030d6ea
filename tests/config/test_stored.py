"""Configurations of before: what runs and presets were, they still are."""

import inspect
import json
import pathlib
import re

import pytest

from keras_l2o import config
from keras_l2o.strategies import RunDirectory
from keras_l2o.training import MetaTrainer
from keras_l2o.training import Objective
from keras_l2o.training import estimators

ROOT = pathlib.Path(__file__).parents[2]
#: What `config.resolve` made when some fields had other names.
STORED = json.loads(
    pathlib.Path(__file__)
    .parent.joinpath("stored", "configurations.json")
    .read_text()
)
TRAINING = {
    "loss_reduce": "reduce",
    "il_mode": "mode",
    "objective": "kind",
    "unroll_weight": "step_weights",
}
#: Policies that are odd by default, which they were not before.
ODD = {"rnnprop", "feature_mlp", "less_choice", "more_choice", "scale_basic"}
#: Fields that came later, with what they were before they could be set.
NEWER = {
    "estimator": {"name": "truncated_backprop", "config": {}},
    "floor": 0.0,
    "hidden_horizon": 0.0,
    "problems_per_step": None,
    "balance": None,
}
RULE = {"layers": "units", "alpha": "learning_rate"}


def resolved(case):
    return config.resolve(
        case["presets"].split(","),
        case.get("policy"),
        case.get("strategy"),
        [config.parse_override(field) for field in case["fields"]],
    )


def renamed(fields, names):
    return {names.get(key, key): value for key, value in fields.items()}


def rule(fields, odd=True):
    fields = renamed(fields, RULE)
    if fields["name"] in ODD:
        fields["odd"] = odd
    if fields.get("pool"):
        fields["pool"] = [rule(member, odd) for member in fields["pool"]]
    return fields


@pytest.mark.parametrize("name", STORED)
def test_presets_give_what_they_gave_before_but_for_names_and_form(name):
    case = STORED[name]
    expected = json.loads(json.dumps(case["run"]))
    expected["policy"] = rule(expected["policy"])
    training = renamed(expected["training"], TRAINING)
    training["teachers"] = [rule(teacher) for teacher in training["teachers"]]
    expected["training"] = {**training, **NEWER}
    made = resolved(case).model_dump(mode="json")
    # The strategy's names are its own; `test_a_stored_run_...` compares them.
    assert {**made, "strategy": None} == {**expected, "strategy": None}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_run_is_what_its_presets_then_were(name):
    of_today = resolved(STORED[name]).model_dump(mode="json")
    assert of_today["policy"].get("odd") is not False
    stored = config.check(STORED[name]["run"]).model_dump(mode="json")
    of_then = {**of_today, "policy": rule(of_today["policy"], odd=False)}
    assert stored == of_then
    # What is written today is read as it is.
    for run in (of_today, of_then):
        assert config.check(run).model_dump(mode="json") == run


def test_a_stored_run_is_built_with_the_form_it_was_begun_with():
    run = json.loads(json.dumps(STORED["seed-noscale"]["run"]))
    run["problems"] = [{"name": "digits_train"}]
    pool = [{"name": "feature_mlp"}, {"name": "lstm", "odd": True}]
    run["policy"] = {"name": "less_choice", "pool": pool}
    run["training"]["teachers"] = [{"name": "rnnprop"}, {"name": "adam"}]
    trainer = config.build(config.check(run)).trainer
    forms = [trainer.student, *trainer.student.pool, trainer.teachers[0]]
    assert [policy.odd for policy in forms] == [False, False, True, False]


def test_the_families_of_the_makefile_are_among_the_stored_ones():
    text = ROOT.joinpath("Makefile").read_text()
    presets = re.findall(r": PRESETS = (\S+)", text)
    presets += ["choice_small_base", "choice_large_base"]
    presets += re.findall(r"--presets=release,([a-z_,]+) ", text)
    assert len(presets) == 11
    stored = {case["presets"] for case in STORED.values()}
    assert {f"release,{names}" for names in presets} <= stored


def test_a_run_directory_of_before_goes_on_by_the_same_command(tmp_path):
    stored = STORED["seed-noscale"]["run"]
    stored = {**stored, "problems": [{"name": "digits_train"}]}
    (tmp_path / "config.json").write_text(json.dumps({"run": stored}))
    text = (tmp_path / "config.json").read_text()
    built = config.build(config.check(stored), tmp_path)
    files = RunDirectory(tmp_path)
    files.open({"run": built.strategy.description})
    files.close()
    assert (tmp_path / "config.json").read_text() == text


RUNS = sorted(
    path
    for path in ROOT.glob("benchmarks/*/*/config.json")
    if "run" in json.loads(path.read_text())
)


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.parent.name)
def test_run_directories_of_before_are_configurations(path):
    stored = json.loads(path.read_text())["run"]
    configuration = config.check(stored)
    training = renamed(stored["training"], TRAINING)
    del training["teachers"]
    made = configuration.training.model_dump()
    assert {name: made[name] for name in training} == training
    assert config.description(configuration, stored) == stored


def test_another_run_is_described_in_todays_words():
    stored = STORED["mean"]["run"]
    other = config.check(STORED["min-max"]["run"])
    for found in (stored, None, {}, {"policy": 1}):
        described = config.description(other, found)
        assert described == other.model_dump(mode="json")


@pytest.mark.parametrize(
    ("alias", "field"),
    [
        ("training/loss_reduce=max", "training/reduce=max"),
        ("training/il_mode=switch", "training/mode=switch"),
        ("training/objective=ratio", "training/kind=ratio"),
        ("training/unroll_weight=final", "training/step_weights=final"),
        ("strategy/epochs=7", "strategy/episodes=7"),
        ("strategy/validation_epochs=7", "strategy/validation_episodes=7"),
        ("strategy/unroll_len=[5,7]", "strategy/unroll=[5,7]"),
        (
            "strategy/annealing_schedule=[1.0,0.1]",
            "strategy/imitation_weight=[1.0,0.1]",
        ),
        ("policy/layers=[8]", "policy/units=[8]"),
        ("policy/alpha=0.3", "policy/learning_rate=0.3"),
        (
            'training/teachers=[{"name":"adamlr","alpha":2}]',
            'training/teachers=[{"name":"adamlr","learning_rate":2}]',
        ),
    ],
)
def test_the_seeds_names_mean_the_constructors(alias, field):
    def with_field(text, presets=("half_depth", "reduce_mean")):
        pair = config.parse_override(f"--{text}")
        return config.resolve(presets, overrides=[pair])

    assert with_field(alias) == with_field(field)
    assert with_field(alias) != config.resolve(["half_depth", "reduce_mean"])


def test_a_field_by_both_of_its_names_is_an_error():
    nest = config.resolve().model_dump()
    nest["training"]["loss_reduce"] = "mean"
    with pytest.raises(
        config.ConfigurationError, match="training/reduce is given twice"
    ):
        config.check(nest)


def test_a_training_has_the_defaults_of_the_constructors():
    nest = {**config.resolve().model_dump(), "training": {}}
    training = config.check(nest).training.model_dump(exclude={"teachers"})
    known = {
        name: parameter.default
        for call in (MetaTrainer.__init__, MetaTrainer.compile, Objective)
        for name, parameter in inspect.signature(call).parameters.items()
    }
    assert isinstance(
        estimators.get(known["estimator"]),
        type(estimators.get(training.pop("estimator")["name"])),
    )
    assert training == {name: known[name] for name in training}
    assert set(inspect.signature(Objective).parameters) <= set(training)


def test_the_seeds_recipe_scales_parameters_as_published():
    assert config.resolve().training.parameter_scale_spread == 3.0
    noscale = config.resolve(["conv_train", "noscale"]).training
    assert noscale.parameter_scale_spread == 0.0
