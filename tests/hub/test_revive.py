import sys

import keras
import pytest

from keras_l2o import hub
from keras_l2o import policies
from keras_l2o.hub.revive import policy_from_config
from tests.hub.forge import edit_config


def rnnprop(**config):
    return {
        "module": "keras_l2o.policies.rnnprop",
        "class_name": "RNNProp",
        "registered_name": "keras_l2o>RNNProp",
        "config": {"units": [4], **config},
    }


def wrapped(optimizer):
    return {
        "class_name": "KerasOptimizer",
        "registered_name": "keras_l2o>KerasOptimizer",
        "config": {"optimizer": optimizer},
    }


def keras_object(name, module="keras.optimizers", **more):
    return {"class_name": name, "module": module, "config": {}, **more}


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """An importable module that leaves a mark when it is imported."""
    (tmp_path / "trap_l2o.py").write_text(
        "import pathlib\n"
        f"pathlib.Path({str(tmp_path / 'sprung')!r}).touch()\n"
        "class RNNProp:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    assert not (tmp_path / "sprung").exists()
    assert "trap_l2o" not in sys.modules


@pytest.mark.parametrize("registered", [None, "trap_l2o>RNNProp", "RNNProp"])
def test_a_config_naming_another_module_imports_nothing(
    registered, folder, trap
):
    edit_config(
        folder,
        lambda config: config["policy"].update(
            module="trap_l2o", registered_name=registered
        ),
    )
    with pytest.raises(hub.ForeignClass, match="not keras_l2o's"):
        hub.load(folder)


def test_the_module_of_a_class_of_ours_is_not_imported(folder, trap):
    edit_config(
        folder, lambda config: config["policy"].update(module="trap_l2o")
    )
    assert isinstance(hub.load(folder).policy, policies.RNNProp)


@pytest.mark.parametrize(
    "where", ["optimizer", "learning_rate", "cell_options", "build_config"]
)
def test_a_nested_config_naming_another_module_imports_nothing(where, trap):
    foreign = keras_object("RNNProp", "trap_l2o", registered_name=None)
    config = {
        "optimizer": wrapped(foreign),
        "learning_rate": wrapped(
            {**keras_object("Adam"), "config": {"learning_rate": foreign}}
        ),
        "cell_options": rnnprop(cell_options={"kernel_initializer": foreign}),
        "build_config": {**rnnprop(), "build_config": foreign},
    }[where]
    with pytest.raises(hub.ForeignClass, match="trap_l2o"):
        policy_from_config(config)


LAMBDA = {"code": "4wAAAAAAAAAA", "defaults": None, "closure": None}


@pytest.mark.parametrize(
    "foreign",
    [
        keras_object("Lambda", "keras.layers"),
        keras_object("TextVectorization", "keras.layers"),
        keras_object("system", "os"),
        keras_object("deserialize"),
        keras_object("Optimizer.__subclasses__"),
        keras_object(["Adam"]),
        keras_object("Adam", "keras.src.optimizers.adam"),
        keras_object("Adam", ["keras.optimizers"]),
        keras_object("Adam", registered_name="other>Adam"),
        keras_object("Adam", compile_config={}),
        keras_object("Adam", shared_object_id=1),
        {"class_name": "Adam", "config": {}},
        {"class_name": "function", "config": "relu", "module": "builtins"},
        {"class_name": "__lambda__", "config": {"value": LAMBDA}},
        {
            "class_name": "__lambda__",
            "registered_name": "keras_l2o>RNNProp",
            "config": {"value": LAMBDA},
        },
        {
            "class_name": "function",
            "registered_name": "keras_l2o>function",
            "config": "relu",
        },
        {"registered_name": "keras_l2o>Missing", "class_name": "Missing"},
        {"class_name": "LearnedOptimizer", "registered_name": "keras_l2o>"},
    ],
    ids=str,
)
def test_objects_that_are_not_on_the_list_are_refused(foreign):
    keras.config.enable_unsafe_deserialization()
    for config in (
        foreign,
        wrapped(foreign),
        rnnprop(cell_options={"activation": foreign}),
    ):
        with pytest.raises(hub.ForeignClass):
            policy_from_config(config)


def test_a_class_of_ours_that_is_no_policy_is_refused():
    config = keras_object(
        "LearnedOptimizer", registered_name="keras_l2o>LearnedOptimizer"
    )
    with pytest.raises(hub.ForeignClass, match="LearnedOptimizer"):
        policy_from_config(config)


def test_a_function_registered_by_somebody_else_is_not_called():
    @keras.saving.register_keras_serializable(package="other")
    def activation(x):
        raise AssertionError("called")

    config = rnnprop(cell_options={"activation": "other>activation"})
    with pytest.raises(hub.ForeignClass, match="other>activation"):
        policy_from_config(config)


@pytest.mark.parametrize(
    "units", [[10**9], [1000] * 1000, ["100000"], [1e9], {"100000": 1}]
)
def test_a_policy_too_large_for_the_format_takes_no_memory(units, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("built before it was checked")

    monkeypatch.setattr(policies.RNNProp, "__init__", fail)
    with pytest.raises(hub.FormatError, match=r"number"):
        policy_from_config(rnnprop(units=units))


@pytest.mark.parametrize(
    "config",
    [
        {"units": "wide"},
        {"units": []},
        {"units": None},
        {"beta_1": 2.0},
        {"no_such_argument": 1},
        {"learning_rate": float("nan")},
        {"alpha": float("nan")},  # its former name
        {"cell_options": {"activation": "no_such_activation"}},
    ],
    ids=str,
)
def test_values_that_the_class_refuses_are_a_format_error(config):
    with pytest.raises(hub.FormatError):
        policy_from_config(rnnprop(**config))


def test_a_config_nested_too_deeply_is_a_format_error():
    nest = {}
    for _ in range(500):
        nest = {"a": nest}
    with pytest.raises(hub.FormatError, match="deeply"):
        policy_from_config(rnnprop(cell_options=nest))


def by_keras(name, module="keras.optimizers", **config):
    return {**keras_object(name, module), "config": config}


MUON = {"learning_rate": 0.1, "exclude_embeddings": False}


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [
        (by_keras("Muon", **MUON, ns_steps=10**9), "ns_steps"),
        (by_keras("Muon", **MUON, ns_steps=101), "ns_steps"),
        (
            by_keras(
                "LossScaleOptimizer",
                inner_optimizer=by_keras("Muon", **MUON, ns_steps=10**6),
            ),
            "ns_steps",
        ),
        (
            by_keras("Muon", **MUON, exclude_layers=[r"(\w|\w)*!"]),
            "exclude_layers",
        ),
        (by_keras("Muon", **MUON, exclude_layers=["a"] * 101), "exclude"),
        (
            by_keras(
                "SGD",
                learning_rate=by_keras(
                    "PiecewiseConstantDecay",
                    "keras.optimizers.schedules",
                    boundaries=list(range(10_000)),
                    values=[0.1] * 10_001,
                ),
            ),
            "boundaries",
        ),
        (by_keras("Adam", ema_overwrite_frequency=10**30), "ema_overwrite"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_work_without_a_bound_is_refused_before_it_begins(
    optimizer, name, monkeypatch
):
    def fail(*arguments, **options):
        raise AssertionError("made before it was checked")

    monkeypatch.setattr(policies.KerasOptimizer, "from_config", fail)
    with pytest.raises(hub.FormatError, match=name):
        policy_from_config(wrapped(optimizer))


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: keras.optimizers.Muon(0.1, ns_steps=20),
        lambda: keras.optimizers.Muon(0.1, exclude_layers=["output"]),
        lambda: keras.optimizers.SGD(
            keras.optimizers.schedules.PiecewiseConstantDecay(
                [10**6, 10**7], [0.1, 0.01, 0.001]
            )
        ),
        lambda: keras.optimizers.Adam(
            use_ema=True, ema_overwrite_frequency=10**5
        ),
    ],
)
def test_counts_of_steps_are_free(optimizer):
    policy = policies.KerasOptimizer(optimizer())
    config = keras.saving.serialize_keras_object(policy)
    assert isinstance(policy_from_config(config), policies.KerasOptimizer)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (rnnprop(learning_rate=float("nan")), "learning_rate"),
        (rnnprop(learning_rate=float("inf")), "learning_rate"),
        (rnnprop(learning_rate=True), "learning_rate"),
        (rnnprop(alpha=float("nan")), "alpha"),
        (rnnprop(alpha=float("inf")), "alpha"),
        (rnnprop(alpha=True), "alpha"),
        (rnnprop(units=[True]), "units"),
        (rnnprop(beta_1=False), "beta_1"),
        (wrapped(by_keras("Adam", learning_rate=True)), "learning_rate"),
        (wrapped(by_keras("Adam", beta_1=float("nan"))), "beta_1"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_number_is_refused_by_its_name(config, name):
    with pytest.raises(hub.FormatError, match=rf"^{name} "):
        policy_from_config(config)
