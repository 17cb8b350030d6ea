"""Policies as students and teachers of the inner loop."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_l2o
from keras_l2o import policies
from keras_l2o.training import inner_loop
from keras_l2o.training.objective import Objective
from keras_l2o.training.task import Distillation
from tests.policies.helpers import numpy

pytestmark = [
    pytest.mark.backend,
    pytest.mark.usefixtures("few_outer_steps"),
]

STUDENTS = {
    "hard_choice": lambda: policies.Choice(
        [policies.Adam(0.05), keras.optimizers.RMSprop(0.01)],
        units=(3,),
        hardness=5.0,
        rate_scale=1.0,
    ),
    "scale": lambda: policies.Scale(units=(4, 3, 2)),
    "feature_mlp": lambda: policies.FeatureMLP(units=(4,)),
    "adams_rate": lambda: policies.Adam(
        0.003, trainable_hyperparameters=["learning_rate"]
    ),
}

TEACHERS = {
    "hard_choice": lambda: [policies.SGD(0.1)],
    "scale": lambda: [policies.SGD(0.1)],
    "feature_mlp": lambda: [policies.RNNProp(units=(2,))],
    "adams_rate": lambda: [policies.get("random_choice")],
}


@pytest.mark.parametrize("name", STUDENTS)
def test_a_students_weights_are_trained(name, tiny_problem):
    trainer = keras_l2o.MetaTrainer(
        student=STUDENTS[name](),
        teachers=TEACHERS[name](),
        problems=tiny_problem,
        unroll=2,
        depth=(2, 3),
        tasks=1,
        validation_tasks=1,
        validation_depth=1,
    )
    trainer.compile(optimizer=keras.optimizers.Adam(0.01))
    before = [w.copy() for w in trainer.student.get_weights()]
    history = trainer.fit(
        epochs=1, steps_per_epoch=3, validation_data=False, verbose=0
    ).history
    assert np.isfinite(history["loss"]).all()
    assert history["skipped_updates"][-1] == 0
    assert history["diverged_tasks"][-1] == 0
    after = trainer.student.get_weights()
    assert all(np.isfinite(w).all() for w in after)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before))


def test_only_the_student_of_an_unroll_is_in_training(tiny_problem):
    seen = {}

    class Recorder(policies.Policy):
        def initial_state(self, parameters):
            tensors = ((),) * len(parameters)
            return policies.PolicyState(ops.zeros((), "int32"), tensors)

        def update(self, gradients, parameters, state, training=False):
            seen[self.name] = training
            return gradients, state._replace(step=state.step + 1)

    student, teacher, alone = map(Recorder, ("student", "teacher", "alone"))
    parameters = ops.concatenate(
        [ops.reshape(p, (-1,)) for p in tiny_problem.initial_values(1)[0]]
    )

    def start(policy):
        return inner_loop.start(policy, tiny_problem, parameters, ())

    batches = keras.tree.map_structure(
        ops.convert_to_tensor,
        tiny_problem.batches(np.random.default_rng(2), 2),
    )
    inner_loop.unroll(
        Distillation(student, [teacher], Objective(), 2),
        tiny_problem,
        [[], []],
        (start(student), start(teacher)),
        inner_loop.Inputs(batches),
    )
    inner_loop.rollout(tiny_problem, alone, [], start(alone), batches, 2)
    assert seen == {"student": True, "teacher": False, "alone": False}


def test_a_policy_called_as_a_layer_takes_training():
    policy = policies.Choice(
        [policies.SGD(1.0), policies.SGD(2.0)], units=(2,), hardness=1.0
    )
    policy.build(None)
    parameters = [ops.ones((2, 3))]
    state = policy.initial_state(parameters)

    def values(training):
        updates, _ = policy(parameters, parameters, state, training=training)
        return set(np.unique(numpy(updates[0])))

    assert values(training=False) <= {1.0, 2.0}
    assert not values(training=True) <= {1.0, 2.0}
