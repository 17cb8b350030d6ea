"""Models whose trainable layers change between saving and loading."""

import warnings

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from keras import ops

import keras_l2o
from keras_l2o import policies
from tests.learned_optimizer.helpers import random_steps

pytestmark = [
    pytest.mark.backend,
    pytest.mark.usefixtures("uncompiled"),
]

#: Layers of which three have one shape: what Keras cannot tell apart.
LAYERS = ("first", "second", "third", "last")


def make_model(dtype="float32", names=LAYERS):
    layers = [
        keras.layers.Dense(
            2 if position == 3 else 4,
            name=name,
            dtype=dtype,
            bias_initializer="glorot_uniform" if position else "zeros",
        )
        for position, name in enumerate(names)
    ]
    return keras.Sequential([keras.Input((4,)), *layers])


def make_optimizer(kind):
    if kind == "adam":
        return keras.optimizers.Adam(0.01)
    policy = {
        "flat": lambda: policies.Adam(0.01),
        "by tensor": lambda: policies.Scale(units=(2,)),
    }[kind]()
    return keras_l2o.LearnedOptimizer(policy, weight_decay=0.1)


def freeze(model, frozen):
    for layer in model.layers:
        layer.trainable = layer.name not in frozen


def load(function):
    """What a function returns, and whether Keras warned of skipped state."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = function()
    skipped = [w for w in caught if "Skipping variable" in str(w.message)]
    return result, bool(skipped)


def state_of(optimizer):
    """The policy's state, of the optimizer inside where there is one."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return [
        np.array(ops.convert_to_numpy(ops.cast(leaf, "float32")))
        for leaf in keras.tree.flatten(optimizer.policy_state)
    ]


def assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right):
        np.testing.assert_array_equal(a, b)


def fresh_state(model):
    optimizer = make_optimizer(KIND_OF[type(inner(model).policy)])
    optimizer.build(model.trainable_variables)
    return state_of(optimizer)


KIND_OF = {policies.Adam: "flat", policies.Scale: "by tensor"}


def inner(model):
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def attempt(kind, before, after, dtype, how, folder):
    """Trains with some layers frozen, and loads with others.

    Returns:
        The model that was saved, the one that was loaded, and whether Keras
        warned.
    """
    model = make_model(dtype)
    freeze(model, before)
    model.compile(make_optimizer(kind), "mse")
    model.optimizer.build(model.trainable_variables)
    random_steps(model, range(2))
    if how == "model":
        freeze(model, after)
        model.save(folder / "model.keras")
        loaded, warned = load(
            lambda: keras.models.load_model(folder / "model.keras")
        )
    else:
        model.save_weights(folder / "model.weights.h5")
        loaded = make_model(dtype)
        freeze(loaded, after)
        loaded.compile(make_optimizer(kind), "mse")
        loaded.optimizer.build(loaded.trainable_variables)
        _, warned = load(
            lambda: loaded.load_weights(folder / "model.weights.h5")
        )
    return model, loaded, warned


def check(kind, before, after, dtype, how, folder):
    """Never raises where Adam would not, and never misplaces state."""
    case = (before, after, dtype, how, folder)
    try:
        model, loaded, warned = attempt(kind, *case)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            attempt("adam", *case)
        return
    if set(before) == set(after):
        assert not warned
        assert_same(state_of(loaded.optimizer), state_of(model.optimizer))
    else:
        assert warned
        assert int(ops.convert_to_numpy(inner(loaded).iterations)) == 0
        assert_same(state_of(loaded.optimizer), fresh_state(loaded))
    random_steps(loaded, range(2))  # goes on


SUBSETS = st.sets(st.sampled_from(LAYERS), max_size=3)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(["flat", "by tensor"]),
    before=SUBSETS,
    after=SUBSETS,
    dtype=st.sampled_from(["float32", "mixed_float16"]),
    how=st.sampled_from(["model", "weights"]),
)
def test_any_layers_may_be_frozen_before_and_after(
    tmp_path_factory, kind, before, after, dtype, how
):
    folder = tmp_path_factory.mktemp("frozen")
    check(kind, before, after, dtype, how, folder)


@pytest.mark.parametrize(
    ("kind", "dtype", "how"),
    [
        ("flat", "float32", "model"),
        ("flat", "float32", "weights"),
        ("flat", "mixed_float16", "model"),
        ("by tensor", "float32", "model"),
    ],
)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["first", "second"], []),  # fine-tuning in two phases
        ([], ["first", "second"]),  # a layer frozen after its training
        (["second"], ["third"]),  # as many coordinates, of another layer
        (["second"], ["second"]),
    ],
    ids=["unfrozen", "frozen", "another", "same"],
)
def test_state_is_kept_or_starts_afresh(
    kind, before, after, dtype, how, tmp_path
):
    check(kind, before, after, dtype, how, tmp_path)


def test_layers_made_again_under_other_names_have_their_state(tmp_path):
    model = make_model()
    model.compile(make_optimizer("flat"), "mse")
    model.optimizer.build(model.trainable_variables)
    random_steps(model, range(2))
    model.save_weights(tmp_path / "model.weights.h5")
    again = make_model(names=("a", "b", "c", "d"))
    again.compile(make_optimizer("flat"), "mse")
    again.optimizer.build(again.trainable_variables)
    _, warned = load(lambda: again.load_weights(tmp_path / "model.weights.h5"))
    assert not warned
    assert_same(state_of(again.optimizer), state_of(model.optimizer))


def test_a_discriminator_switched_off_loads(tmp_path):
    critic = make_model()
    critic.compile(make_optimizer("flat"), "mse")
    critic.optimizer.build(critic.trainable_variables)
    random_steps(critic, range(2))
    critic.trainable = False  # as while the generator learns
    critic.save(tmp_path / "critic.keras")
    loaded, warned = load(
        lambda: keras.models.load_model(tmp_path / "critic.keras")
    )
    assert warned
    loaded.trainable = True
    assert loaded.predict(np.ones((1, 4)), verbose=0).shape == (1, 2)


def test_files_of_the_first_layout_still_load(tmp_path):
    model = make_model()
    model.compile(make_optimizer("flat"), "mse")
    optimizer = model.optimizer
    optimizer.build(model.trainable_variables)
    random_steps(model, range(2))
    # As they were: every variable by number, marks and counts were not there.
    later = {id(v) for v in optimizer.variables if "mark_" in v.path}
    later.add(id(optimizer.skipped_steps))
    first = [v for v in optimizer.variables if id(v) not in later]
    store = {
        str(index): ops.convert_to_numpy(v) for index, v in enumerate(first)
    }
    twin = make_optimizer("flat")
    twin.build(model.trainable_variables)
    twin.load_own_variables(store)
    assert_same(state_of(twin), state_of(optimizer))
    assert int(ops.convert_to_numpy(twin.iterations)) == 2
    with pytest.warns(UserWarning, match="afresh"):
        twin.load_own_variables({**store, "9": np.zeros(1)})
