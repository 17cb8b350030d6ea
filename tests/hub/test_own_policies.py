"""Policies of a user's own: saved by anybody, loaded by who allows them."""

import json

import keras
import numpy as np
import pytest

import keras_l2o
from keras_l2o import hub
from keras_l2o import policies
from tests.hub.forge import edit_config
from tests.own_classes import CUSTOM_OBJECTS
from tests.own_classes import MyOptimizer
from tests.own_classes import MyRule
from tests.own_classes import Unregistered
from tests.own_classes import my_activation


def saved(policy, folder):
    optimizer = keras_l2o.LearnedOptimizer(policy)
    keras_l2o.save(optimizer, folder)
    return optimizer


@pytest.fixture
def own(tmp_path):
    saved(MyRule(initializer=keras.initializers.Constant(0.5)), tmp_path / "a")
    return tmp_path / "a"


@pytest.mark.backend
@pytest.mark.parametrize("name", ["mine>MyRule", "MyRule"])
def test_an_own_policy_is_saved_and_loaded_by_whoever_names_it(name, own):
    loaded = keras_l2o.load(own, custom_objects={name: MyRule})
    assert type(loaded.policy) is MyRule
    assert loaded.policy.timescale == 100_000
    assert loaded.policy.get_weights()[0] == 0.5
    variable = keras.Variable([1.0, 2.0])
    loaded.build([variable])
    loaded.apply([keras.ops.ones(2)], [variable])
    expected = np.array([1.0, 2.0]) - 0.01 * np.exp(0.5)
    np.testing.assert_allclose(variable, expected, rtol=1e-6)


def test_without_its_class_an_own_policy_is_refused_with_the_hint(own):
    hint = r"custom_objects=\{\"mine>MyRule\": MyRule\}"
    for options in ({}, {"custom_objects": {"mine>Other": MyRule}}):
        with pytest.raises(hub.ForeignClass, match=hint):
            keras_l2o.load(own, **options)


def test_being_registered_or_in_scope_allows_nothing(own):
    keras.config.enable_unsafe_deserialization()
    with keras.saving.custom_object_scope(CUSTOM_OBJECTS):
        with pytest.raises(hub.ForeignClass):
            keras_l2o.load(own)


def test_the_hint_repeats_nothing_but_names(own):
    for name in ("x}; import os #", "a\nb", "x" * 200):
        edit_config(
            own,
            lambda config, name=name: config["policy"].update(
                registered_name=f"mine>{name}"
            ),
        )
        with pytest.raises(hub.ForeignClass) as caught:
            keras_l2o.load(own)
        assert "custom_objects" not in str(caught.value)


def test_a_class_by_another_name_does_not_stand_in(own):
    with pytest.raises(hub.ForeignClass):
        keras_l2o.load(own, custom_objects={"mine>MyRule": MyOptimizer})
    with pytest.raises(hub.ForeignClass):
        keras_l2o.load(own, custom_objects={"mine>MyRule": Unregistered})


def test_a_class_that_is_no_policy_is_no_optimizer(own):
    def edit(config):
        config["policy"].update(
            class_name="MyOptimizer", registered_name="mine>descent"
        )

    edit_config(own, edit)
    with pytest.raises(hub.ForeignClass):
        keras_l2o.load(own, custom_objects={"mine>descent": MyOptimizer})


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (
            lambda: policies.Choice([MyRule(), policies.Adam(0.1)]),
            CUSTOM_OBJECTS,
        ),
        (
            lambda: policies.KerasOptimizer(MyOptimizer(0.1)),
            {"mine>descent": MyOptimizer},
        ),
        (
            lambda: policies.RNNProp(
                units=(2,),
                cell_options={"activation": my_activation},
                odd=False,
            ),
            {"mine>my_activation": my_activation},
        ),
    ],
    ids=["pool", "optimizer", "function"],
)
def test_what_is_nested_must_be_named_too(policy, allowed, tmp_path):
    optimizer = saved(policy(), tmp_path / "a")
    (name,) = allowed
    with pytest.raises(hub.ForeignClass, match=name):
        keras_l2o.load(tmp_path / "a")
    loaded = keras_l2o.load(tmp_path / "a", custom_objects=allowed)
    old, new = map(
        keras.saving.serialize_keras_object, (optimizer.policy, loaded.policy)
    )
    assert old == new


def test_a_class_that_is_not_registered_is_not_saved(tmp_path):
    for policy in (Unregistered(), policies.Choice([Unregistered()])):
        with pytest.raises(hub.HubError, match="register_keras_serializable"):
            saved(policy, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_an_own_policy_does_not_make_the_size_of_ours_free(own):
    inner = keras.saving.serialize_keras_object(policies.RNNProp(units=(2,)))
    inner["config"]["units"] = [10**6]
    edit_config(
        own, lambda config: config["policy"]["config"].update(timescale=inner)
    )
    with pytest.raises(hub.FormatError, match="too large"):
        keras_l2o.load(own, custom_objects=CUSTOM_OBJECTS)


def test_from_hub_takes_the_classes(own, hub_server):
    from tests.hub.test_remote import fill

    fill(hub_server, own)
    with pytest.raises(hub.ForeignClass, match="mine>MyRule"):
        keras_l2o.from_hub("hf://org/repo/min-max/3")
    for name in ("hf://org/repo/min-max/3", own):
        loaded = keras_l2o.from_hub(name, custom_objects=CUSTOM_OBJECTS)
        assert type(loaded.policy) is MyRule


def test_publish_takes_the_classes(own, hub_server, logged_in):
    with pytest.raises(hub.ForeignClass, match="mine>MyRule"):
        keras_l2o.publish(own, "hf://org/repo")
    made = keras_l2o.publish(
        own, "hf://org/repo", custom_objects=CUSTOM_OBJECTS
    )
    files = hub_server.repositories["org/repo"].files()
    assert files["config.json"] == (own / "config.json").read_bytes()
    assert made.card


def test_a_copy_has_the_same_bytes_and_needs_no_class(own, tmp_path):
    keras_l2o.hub.folder.copy(own, tmp_path / "b")
    for path in own.iterdir():
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(hub.HubError, match="overwrite"):
        keras_l2o.hub.folder.copy(own, tmp_path / "b")
    keras_l2o.hub.folder.copy(own, tmp_path / "b", overwrite=True)


def test_a_damaged_folder_is_not_copied(own, tmp_path):
    (own / "config.json").write_text("{}")
    with pytest.raises(hub.DigestError):
        keras_l2o.hub.folder.copy(own, tmp_path / "b")
    edit_config(own, lambda config: None)
    with pytest.raises(hub.FormatError):
        keras_l2o.hub.folder.copy(own, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_optimizer_inside_a_loss_scale_is_saved(tmp_path):
    inner = keras_l2o.LearnedOptimizer(policies.Adam(0.1), learning_rate=0.3)
    scaled = keras.optimizers.LossScaleOptimizer(inner)
    keras_l2o.save(scaled, tmp_path / "a")
    assert keras_l2o.load(tmp_path / "a").get_config()[
        "learning_rate"
    ] == pytest.approx(0.3)
    other = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(hub.HubError, match="LearnedOptimizer"):
        keras_l2o.save(other, tmp_path / "b")


def test_what_is_written_is_what_keras_calls_it(own):
    policy = json.loads((own / "config.json").read_text())["policy"]
    assert policy["registered_name"] == "mine>MyRule"
