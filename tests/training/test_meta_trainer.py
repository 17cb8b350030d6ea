import warnings

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o.training import Episodes
from keras_l2o.training import Objective
from tests.conftest import flat_model
from tests.training.helpers import everything_finite
from tests.training.helpers import trainer
from tests.training.helpers import weights

pytestmark = pytest.mark.backend


@pytest.mark.quick
def test_fit_improves_the_objective_and_reports_it(bench):
    # Whose first steps go up or down is a matter of chance.
    keras.utils.set_random_seed(2)
    other = trainer(bench.model().problems)
    other.compile(optimizer=keras.optimizers.Adam(1e-2))
    model = bench.like(other)
    before = model.evaluate(verbose=0)
    history = model.fit(epochs=3, steps_per_epoch=6, verbose=0).history
    assert set(history) == {
        "loss", "meta_loss", "imitation_loss", "skipped_updates",
        "diverged_tasks", "diverged_teachers", "replaced_batches",
        "negative_losses", "val_log_loss", "val_adam_log_loss",
    }  # fmt: skip
    assert history["negative_losses"] == [0.0, 0.0, 0.0]
    assert history["loss"][-1] < history["loss"][0]
    # Before, it may by chance be better than what it is to imitate.
    gaps = [
        abs(student - before["adam_log_loss"])
        for student in (before["log_loss"], history["val_log_loss"][-1])
    ]
    assert gaps[1] < 0.5 * gaps[0]
    # the teachers' rollouts have fixed seeds, so their figures do not move
    assert np.ptp(history["val_adam_log_loss"]) < 1e-5
    assert everything_finite(model)


def test_the_same_seeds_give_the_same_weights(tiny_problem):
    results = []
    for _ in range(2):
        keras.utils.set_random_seed(7)
        model = trainer(
            tiny_problem,
            objective=Objective(mode="switch", huber_delta=0.1, stop_above=9.0),
            tasks=1,
        )
        model.fit(
            epochs=1,
            steps_per_epoch=3,
            verbose=0,
            validation_data=False,
            callbacks=[
                keras_l2o.perturbations.Gaussian(1e-3, seed=1),
                keras_l2o.perturbations.InputNoise(1e-2, seed=2),
                keras_l2o.perturbations.PGD(1e-3),
            ],
        )
        results.append(weights(model))
    np.testing.assert_array_equal(*results)


def test_fit_goes_on_with_the_data_where_it_stopped(bench):
    model = bench.model()
    model.fit(epochs=2, steps_per_epoch=2, verbose=0, validation_data=False)
    whole = weights(model)
    model = bench.model()
    for _ in range(2):
        assert (weights(model) != whole).any()
        model.fit(epochs=1, steps_per_epoch=2, verbose=0, validation_data=False)
    np.testing.assert_array_equal(whole, weights(model))


def test_weights_saved_half_way_go_on_in_another_trainer(bench, tmp_path):
    whole = bench.model()
    whole.fit(epochs=1, steps_per_epoch=2, verbose=0, validation_data=False)
    whole.save_weights(tmp_path / "half.weights.h5")
    whole.fit(epochs=1, steps_per_epoch=2, verbose=0, validation_data=False)
    other = trainer(whole.problems)
    other.compile(optimizer=keras.optimizers.Adam(1e-2))
    other.load_weights(tmp_path / "half.weights.h5")
    other.fit(epochs=1, steps_per_epoch=2, verbose=0, validation_data=False)
    np.testing.assert_array_equal(weights(whole), weights(other))


def test_negative_losses_are_counted_and_warned_of_once(tiny_data):
    def loss(labels, outputs):
        found = keras.losses.sparse_categorical_crossentropy(
            labels, outputs, from_logits=True
        )
        return found - 20.0

    problem = problems.Problem(flat_model, tiny_data, loss, batch_size=16)
    model = trainer(problem)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(epochs=2, steps_per_epoch=2, verbose=0).history
    found = [x for x in caught if "loss was negative" in str(x.message)]
    assert history["negative_losses"] == [20.0, 20.0]  # 2 tasks, 5 steps
    assert len(found) == 1
    assert "Add a constant" in str(found[0].message)


def test_knobs_turned_by_a_callback_change_the_next_step(bench):
    class Turn(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.imitation_weight.assign(float(epoch))
            self.model.meta_weight.assign(1.0 - epoch)

    model = bench.model()
    history = model.fit(
        epochs=2,
        steps_per_epoch=1,
        verbose=0,
        callbacks=[Turn()],
        validation_data=False,
    ).history
    assert history["loss"][0] == pytest.approx(history["meta_loss"][0])
    assert history["loss"][1] == pytest.approx(history["imitation_loss"][1])


def test_switch_draws_a_term_for_each_outer_step(tiny_problem):
    model = trainer(
        tiny_problem, objective=Objective(mode="switch"), imitation_weight=1.0
    )
    history = model.fit(
        epochs=8, steps_per_epoch=1, verbose=0, validation_data=False
    ).history
    picked = []
    for total, meta, imitation in zip(
        history["loss"], history["meta_loss"], history["imitation_loss"]
    ):
        assert total in (pytest.approx(meta), pytest.approx(imitation))
        picked.append(total == pytest.approx(meta))
    draws = [model.episodes.at(step)[0]["draw"] for step in range(8)]
    assert picked == [bool(draw[0] >= 0.5) for draw in draws]
    assert len(set(picked)) == 2


@pytest.mark.usefixtures("few_outer_steps")
def test_logs_show_each_teachers_loss_and_who_is_furthest(tiny_problem):
    model = trainer(
        tiny_problem,
        teachers={"still": policies.SGD(0.0), "far": policies.SGD(1e3)},
        log_losses=True,
        log_teachers=True,
        depth=1,
    )
    history = model.fit(
        epochs=1, steps_per_epoch=2, verbose=0, validation_data=False
    ).history
    assert history["far_furthest"] == [pytest.approx(1.0)]
    assert history["still_furthest"] == [pytest.approx(0.0)]
    assert history["far_loss"][0] > history["still_loss"][0]
    # a teacher that stands still has the loss of the first parameters
    expected = []
    for step in range(2):
        (data,) = model.episodes.at(step)
        for task in range(2):
            for x, y in zip(*(leaf[task] for leaf in data["batches"])):
                value, _ = tiny_problem.loss_value(
                    tiny_problem.unravel(
                        ops.convert_to_tensor(data["parameters"][task])
                    ),
                    [],
                    (ops.convert_to_tensor(x), ops.convert_to_tensor(y)),
                )
                value = ops.convert_to_numpy(ops.stop_gradient(value))
                expected.append(value)
    assert history["still_loss"][0] == pytest.approx(
        np.mean(expected), rel=1e-4
    )


def test_episodes_and_validation_can_be_changed_between_fits(tiny_problem):
    def fit(model, **options):
        return model.fit(
            epochs=1, steps_per_epoch=2, verbose=0, **options
        ).history

    model = trainer(tiny_problem, parameter_scale_spread=0.0)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    fit(model, validation_data=False)
    model.set_episodes(unroll=3, depth=1, warmup=1, warmup_rate=0.2, seed=9)
    model.set_validation(
        unroll=4, depth=1, warmup=1, warmup_rate=0.1, seed=(3, 1)
    )
    changed = fit(model)
    optimizer = model.to_optimizer()
    assert (optimizer.warmup_steps, optimizer.warmup_rate) == (4, 0.1)
    keras.utils.set_random_seed(1)
    fresh = trainer(
        tiny_problem,
        student=model.student.copy(),
        parameter_scale_spread=0.0,
        unroll=3,
        depth=1,
        warmup=1,
        warmup_rate=0.2,
        seed=9,
    )
    fresh.compile(optimizer=keras.optimizers.SGD(0.0))
    fresh.set_validation(
        unroll=4, depth=1, warmup=1, warmup_rate=0.1, seed=(3, 1)
    )
    for key, value in fit(fresh).items():
        assert changed[key] == pytest.approx(value, rel=1e-4), key
    # other data alone compile nothing again
    compiled = model.train_function
    model.episodes = Episodes(model.problems, 2, 3, 2, warmup=1, seed=(9, 0, 4))
    fit(model, x=model.episodes.stream())
    assert model.train_function is compiled


def test_episodes_of_other_tasks_are_an_error(tiny_problem):
    model = trainer(tiny_problem)
    with pytest.raises(ValueError, match="number of tasks"):
        model.episodes = Episodes(model.problems, 3, 5, 1)


@pytest.mark.usefixtures("few_outer_steps")
def test_several_problems_and_any_keras_teacher(tiny_problem, tiny_data):
    x, y = tiny_data
    network = keras.Sequential(
        [
            keras.Input((36,)),
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(),
        ]
    )
    other = problems.Problem(network, (x.reshape(64, 36), y), batch_size=8)
    model = trainer(
        [tiny_problem, other],
        teachers=[keras.optimizers.Adam(0.01), keras.optimizers.Nadam(0.01)],
        reduce="mean",
        tasks=1,
    )
    assert model.teacher_names == ["adam", "nadam"]
    history = model.fit(epochs=1, steps_per_epoch=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_nadam_log_loss"]).all()


def test_the_optimizer_does_what_the_student_did(bench):
    model = bench.model()
    model.fit(epochs=1, steps_per_epoch=2, verbose=0, validation_data=False)
    ((data,),) = (model.validation.episodes.at(0),)
    (problem,) = model.problems
    network = problem.new_model(0)
    network.set_weights(
        [
            ops.convert_to_numpy(v)
            for v in problem.unravel(data["parameters"][0])
        ]
    )
    network.compile(optimizer=model.to_optimizer(), loss=problem.loss)
    losses = []
    for step in range(5):
        network.reset_metrics()
        x, y = (leaf[0, step] for leaf in data["batches"])
        losses.append(float(network.train_on_batch(x, y)))
    from keras_l2o.training import inner_loop

    values = model.state.weights
    start = inner_loop.start(
        model.student,
        problem,
        ops.convert_to_tensor(data["parameters"][0]),
        (),
    )
    batches = tuple(ops.convert_to_tensor(leaf[0]) for leaf in data["batches"])
    _, expected = inner_loop.rollout(
        problem, model.student, values, start, batches, 5
    )
    np.testing.assert_allclose(
        losses, ops.convert_to_numpy(ops.stop_gradient(expected)), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unroll": 0}, "`unroll` must be an integer"),
        ({"tasks": 1.5}, "`tasks` must be an integer"),
        ({"depth": 0}, "`depth` must be an int"),
        ({"depth": (3, 2)}, "`depth` must be an int"),
        ({"depth": (1,)}, "`depth` must be an int"),
        ({"depth": (1.5, 2)}, "`depth` must be an int"),
        ({"validation_depth": 0}, "`validation_depth` must be an integer"),
        ({"validation_tasks": 0}, "`validation_tasks` must be an integer"),
        ({"warmup": -1}, "`warmup` must be an integer of at least 0"),
        ({"warmup": 0.5}, "`warmup` must be an integer of at least 0"),
        ({"warmup_rate": np.nan}, "`warmup_rate` must be a finite number"),
        ({"meta_weight": -1.0}, "`meta_weight` must be a finite number"),
        ({"imitation_weight": np.inf}, "`imitation_weight` must be a finite"),
        ({"parameter_scale_spread": np.nan}, "`parameter_scale_spread` must"),
        ({"parameter_scale_spread": -1.0}, "`parameter_scale_spread` must"),
        ({"student": policies.Adam()}, "must have trainable weights"),
        ({"student": "rnnprop"}, "`student` must be a"),
        ({"teachers": [3]}, "must be a"),
        ({"reduce": "median"}, "`reduce` must be one of"),
        ({"reduce": "mean", "objective": Objective()}, "`reduce` must be left"),
        (
            {"teachers": {"meta": policies.SGD()}, "log_losses": True},
            "`teachers` must name them",
        ),
    ],
)
def test_bad_arguments_are_named(tiny_problem, options, message):
    with pytest.raises(ValueError, match=message):
        trainer(tiny_problem, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_clipping": 0.0},
        {"gradient_clipping": np.nan},
        {"clipping_floor": -1.0},
    ],
)
def test_bad_clipping_is_named(tiny_problem, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"`{name}` must be a finite"):
        trainer(tiny_problem).compile(**options)


@pytest.mark.usefixtures("few_outer_steps")
def test_a_teacher_stays_as_trainable_as_its_owner_had_it(tiny_problem):
    teacher = policies.RNNProp(units=(2,), name="elder")
    teacher.build(None)
    model = trainer(tiny_problem, teachers=[teacher, policies.SGD(0.1)])
    assert teacher.trainable
    assert len(teacher.trainable_variables) == len(teacher.weights)
    assert not model.teachers[0].trainable_variables
    before = teacher.get_weights()
    model.fit(epochs=1, steps_per_epoch=1, verbose=0, validation_data=False)
    for own, first, copy in zip(
        teacher.get_weights(), before, model.teachers[0].get_weights()
    ):
        np.testing.assert_array_equal(own, first)
        np.testing.assert_array_equal(copy, first)
    # and can be the student of its own lesson
    trainer(tiny_problem, student=teacher, teachers=[teacher])
    assert teacher.trainable_variables


def test_a_warm_up_is_no_update_and_no_loss_and_handed_on(tiny_problem):
    model = trainer(tiny_problem, depth=2, warmup=1, warmup_rate=0.02)
    model.compile()
    moments = [np.array(v) for v in model.optimizer.variables]
    before = weights(model)
    first = model.fit(
        epochs=1, steps_per_epoch=1, verbose=0, validation_data=False
    ).history
    np.testing.assert_array_equal(weights(model), before)
    for old, variable in zip(moments, model.optimizer.variables):
        np.testing.assert_array_equal(old, np.array(variable))
    assert first["skipped_updates"] == [0.0]
    second = model.fit(
        epochs=1, steps_per_epoch=1, verbose=0, validation_data=False
    ).history
    assert (weights(model) != before).any()
    assert np.isfinite(second["loss"]).all()
    optimizer = model.to_optimizer()
    assert (optimizer.warmup_steps, optimizer.warmup_rate) == (5, 0.02)


def test_rematerialization_gives_the_same_weights(tiny_problem):
    results = []
    for rematerialize in (False, True):
        keras.utils.set_random_seed(1)
        model = trainer(tiny_problem)
        # Not Adam, which makes of a rounding a step.
        model.compile(keras.optimizers.SGD(0.1), rematerialize=rematerialize)
        model.fit(epochs=1, steps_per_epoch=2, verbose=0, validation_data=False)
        results.append(weights(model))
    np.testing.assert_allclose(*results, 1e-4, 1e-6)
