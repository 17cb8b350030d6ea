import keras_l2o
from keras_l2o import policies

#: A distillation of a second.
TINY = {
    "teachers": [policies.SGD(0.1)],
    "problems": "digits_mlp",
    "unroll": 2,
    "depth": 1,
    "tasks": 1,
    "validation_tasks": 1,
}


def hypermodel(learning_rate=0.1, **options):
    """A hypermodel of one replicate, unless the options say otherwise."""
    return keras_l2o.PerturbationHyperModel(
        student=policies.RNNProp(units=(2,), learning_rate=learning_rate),
        **TINY,
        **{"replicates": 1, **options},
    )


def metrics(trial):
    """The figures that keras-tuner keeps of a trial."""
    tracker = trial.metrics
    return {name: tracker.get_best_value(name) for name in tracker.metrics}
