import keras
import numpy as np
import pytest
from keras import ops

from keras_l2o.training.clipping import adaptive_clip
from keras_l2o.training.inner_loop import Records
from keras_l2o.training.objective import Objective

LOG_DISTANCES = np.array([[1.0, 3.0, -2.0], [0.5, -1.0, 4.0]], "float32")


def records(log_distances=LOG_DISTANCES, alive=None, running=None):
    steps = len(log_distances)
    running = np.ones(steps, bool) if running is None else running
    alive = np.ones(log_distances.shape, bool) if alive is None else alive
    return Records(
        losses=ops.convert_to_tensor(np.array([2.0, 1.0], "float32")[:steps]),
        initial_losses=ops.ones((steps,)),
        log_distances=ops.convert_to_tensor(log_distances),
        alive=ops.convert_to_tensor(alive),
        teacher_losses=ops.convert_to_tensor(log_distances),
        running=ops.convert_to_tensor(running),
        goes_on=ops.convert_to_tensor(np.append(running[1:], True)),
        index=ops.arange(steps, dtype="int32"),
        horizon=ops.convert_to_tensor(steps, "int32"),
    )


def number(tensor):
    return float(ops.convert_to_numpy(tensor))


def test_meta_loss_is_the_mean_log_of_the_ratio():
    expected = np.mean(np.log([2.0, 1.0]))
    assert number(Objective().meta_loss(records())) == pytest.approx(expected)


def test_min_max_looks_at_the_furthest_teacher_of_each_step():
    loss = Objective("max").imitation_loss(records())
    assert number(loss) == pytest.approx((3.0 + 4.0) / 2)


def test_mean_distillation_looks_at_all_teachers():
    loss = Objective("mean").imitation_loss(records())
    assert number(loss) == pytest.approx(LOG_DISTANCES.mean())


def test_a_callable_reduces_as_it_likes():
    loss = Objective(ops.logsumexp).imitation_loss(records())
    expected = np.log(np.exp(LOG_DISTANCES).sum(axis=1)).mean()
    assert number(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("reduce", "expected"), [("max", (1.0 + 0.5) / 2), ("mean", -0.375)]
)
def test_a_dead_teacher_does_not_count(reduce, expected):
    alive = np.array([[True, False, True], [True, True, False]])
    loss = Objective(reduce).imitation_loss(records(alive=alive))
    assert number(loss) == pytest.approx(expected)


def test_without_a_living_teacher_there_is_no_imitation_loss():
    dead = np.zeros((2, 3), bool)
    assert number(Objective().imitation_loss(records(alive=dead))) == 0.0


def test_without_teachers_there_is_no_imitation_loss():
    none = np.zeros((2, 0), "float32")
    assert number(Objective().imitation_loss(records(none))) == 0.0


LOSSES = np.array([2.0, 0.3, 5.0], "float32")
FIRST = np.array([1.0, 1.5, 2.0], "float32")
DISTANCES = np.array([[1.0, 3.0], [0.5, -1.0], [2.0, 7.0]], "float32")


def three_steps(running=(True, True, True)):
    return records(DISTANCES, running=np.array(running))._replace(
        losses=ops.convert_to_tensor(LOSSES),
        initial_losses=ops.convert_to_tensor(FIRST),
    )


@pytest.mark.parametrize(
    ("options", "per_step"),
    [
        (dict(), np.log(LOSSES) - np.log(FIRST)),
        (dict(relative=False), np.log(LOSSES)),
        (dict(kind="ratio"), LOSSES / FIRST),
        (dict(kind="ratio", relative=False), LOSSES),
    ],
)
@pytest.mark.parametrize("step_weights", ["mean", "sum", "final"])
def test_each_scale_and_weight_of_the_steps(options, per_step, step_weights):
    pick = {"mean": np.mean, "sum": np.sum, "final": lambda row: row[-1]}
    made = Objective(step_weights=step_weights, **options)
    total, meta, imitation = made(three_steps(), 2.0, 0.5)
    expected_meta = pick[step_weights](per_step)
    expected_imitation = pick[step_weights](DISTANCES.max(axis=1))
    assert number(meta) == pytest.approx(expected_meta, rel=1e-5, abs=1e-6)
    assert number(imitation) == pytest.approx(expected_imitation, rel=1e-5)
    assert number(total) == pytest.approx(
        2.0 * expected_meta + 0.5 * expected_imitation, rel=1e-5
    )


@pytest.mark.parametrize(
    ("step_weights", "expected"),
    [
        ("mean", (np.log(2.0) + np.log(0.2)) / 3),
        ("sum", np.log(2.0) + np.log(0.2)),
        ("final", np.log(0.2)),
    ],
)
def test_steps_after_the_stop_count_as_zeros(step_weights, expected):
    made = Objective(step_weights=step_weights, stop_above=4.0)
    loss = made.meta_loss(three_steps((True, True, False)))
    assert number(loss) == pytest.approx(expected, rel=1e-5)


def test_huber_distance_is_square_up_to_delta_and_linear_beyond():
    student = np.array([0.0, 0.1, -0.3, 2.0, -5.0], "float32")
    teacher = np.zeros(5, "float32")
    rows = [
        d**2 if abs(d) <= 0.3 else 2 * 0.3 * abs(d) - 0.3**2 for d in student
    ]
    tensors = [ops.convert_to_tensor(t) for t in (student, teacher)]
    huber = number(Objective(huber_delta=0.3).distance(*tensors))
    assert huber == pytest.approx(np.mean(rows), rel=1e-5)
    square = number(Objective().distance(*tensors))
    assert square == pytest.approx(np.mean(student**2), rel=1e-6)
    wide = number(Objective(huber_delta=100.0).distance(*tensors))
    assert wide == pytest.approx(square, rel=1e-6)


@pytest.mark.parametrize(
    ("mode", "draw", "expected"),
    [
        ("sum", 0.0, "both"),
        ("meta", 0.0, "meta"),
        ("imitation", 0.9, "imitation"),
        ("switch", 0.19, "imitation"),
        ("switch", 0.21, "meta"),
    ],
)
def test_modes_pick_their_terms(mode, draw, expected):
    made = Objective(mode=mode, imitation_probability=0.2)
    total, meta, imitation = made(records(), 2.0, 0.25, draw)
    terms = {"meta": 2.0 * number(meta), "imitation": 0.25 * number(imitation)}
    assert number(total) == pytest.approx(
        sum(terms.values()) if expected == "both" else terms[expected]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reduce": "min"}, "`reduce` must be one of"),
        ({"kind": "linear"}, "`kind` must be one of"),
        ({"step_weights": "last"}, "`step_weights` must be one of"),
        ({"mode": "both"}, "`mode` must be one of"),
        ({"huber_delta": 0.0}, "`huber_delta` must be"),
        ({"stop_above": 0.5}, "`stop_above` must be"),
        ({"imitation_probability": 2}, "`imitation_probability` must be"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Objective(**options)


def test_total_weighs_both_terms():
    total, meta, imitation = Objective()(records(), 2.0, 0.25)
    assert number(total) == pytest.approx(
        2.0 * number(meta) + 0.25 * number(imitation)
    )


def test_adaptive_clipping_bounds_each_unit_by_its_own_norm():
    weight = np.array([[3.0, 0.0], [4.0, 0.0]], "float32")  # norms 5 and 0
    gradient = np.array([[30.0, 1.0], [40.0, 0.0]], "float32")
    (clipped,) = adaptive_clip(
        [ops.convert_to_tensor(gradient)],
        [ops.convert_to_tensor(weight)],
        ratio=0.1,
        floor=1e-3,
    )
    norms = np.linalg.norm(ops.convert_to_numpy(clipped), axis=0)
    np.testing.assert_allclose(norms, [0.5, 1e-4], rtol=1e-5)


@pytest.mark.parametrize("size", [1e-30, 1e20, 1e37])
def test_adaptive_clipping_keeps_the_way_of_a_gradient_of_any_size(size):
    gradient = np.array([[3.0, 0.0], [-4.0, 1.0]], "float32") * size
    (clipped,) = adaptive_clip(
        [ops.convert_to_tensor(gradient.astype("float32"))],
        [ops.ones((2, 2))],
    )
    bound = 0.1 * 2**0.5
    expected = np.array([[0.6, 0.0], [-0.8, 1.0]]) * bound
    if size < 1.0:  # below the bound: as it is
        expected = gradient
    np.testing.assert_allclose(ops.convert_to_numpy(clipped), expected, 1e-5)


def test_adaptive_clipping_leaves_small_and_zero_gradients():
    weight = ops.ones((3,))
    for gradient in (ops.zeros((3,)), ops.full((3,), 1e-3)):
        (clipped,) = adaptive_clip([gradient], [weight])
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(clipped),
            keras.ops.convert_to_numpy(gradient),
        )


def long_records(steps, horizon, begin=0):
    """A part of an episode, whose loss is the number of the step."""
    index = np.arange(begin, begin + steps)
    zeros = ops.zeros((steps, 0))
    return Records(
        losses=ops.convert_to_tensor(index.astype("float32")),
        initial_losses=ops.ones((steps,)),
        log_distances=zeros,
        alive=ops.zeros((steps, 0), "bool"),
        teacher_losses=zeros,
        running=ops.convert_to_tensor(index < horizon),
        goes_on=ops.convert_to_tensor(index < horizon),
        index=ops.convert_to_tensor(index, "int32"),
        horizon=ops.convert_to_tensor(horizon, "int32"),
    )


@pytest.mark.parametrize(("horizon", "last"), [(20, 4), (7, 2), (1, 1)])
def test_late_weighs_the_last_fifth_of_an_episode(horizon, last):
    objective = Objective(kind="ratio", step_weights="late")
    losses = np.arange(horizon)
    expected = 0.3 * losses.mean() + 0.7 * losses[-last:].mean()
    # in one part, and in two of which the second goes beyond the horizon
    whole = number(objective.meta_loss(long_records(24, horizon)))
    parts = [
        number(objective.meta_loss(long_records(12, horizon, begin)))
        for begin in (0, 12)
    ]
    assert whole == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert sum(parts) == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_a_floor_bounds_what_a_task_can_win():
    objective = Objective(floor=0.02)
    loss = number(objective.meta_loss(records()))
    assert loss == pytest.approx(np.mean(np.log([2.02, 1.02])))
    solved = records()._replace(losses=ops.zeros((2,)))
    assert number(objective.meta_loss(solved)) == pytest.approx(np.log(0.02))


@pytest.mark.parametrize(
    "options",
    [{"floor": -1.0}, {"floor": 0.1, "kind": "ratio"},
     {"floor": 0.1, "relative": False}],
)  # fmt: skip
def test_a_floor_that_means_nothing_is_refused(options):
    with pytest.raises(ValueError, match="`floor`"):
        Objective(**options)
