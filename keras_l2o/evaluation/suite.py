"""How an optimizer does on a problem, run after run."""

from keras_l2o import problems
from keras_l2o.evaluation import private
from keras_l2o.evaluation import storage
from keras_l2o.evaluation.contender import contender
from keras_l2o.evaluation.run import train
from keras_l2o.problems import catalogue
from keras_l2o.version import versions

#: Settings that tell one evaluation from another; the rest is for the record.
IDENTITY = (
    "problem",
    "optimizer_digest",
    "dataset",
    "data_digest",
    "examples",
    "batch_size",
    "steps",
    "epoch_steps",
    "seed",
    "trace",
    "privacy",
)


def evaluate(
    optimizer,
    problem,
    repeat=10,
    epochs=None,
    steps=None,
    examples=None,
    batch_size=None,
    dataset=None,
    seed=0,
    trace=None,
    directory=None,
    overwrite=False,
    on_epoch=None,
):
    """Trains new models of a problem with an optimizer and validates them.

    A run that diverges is recorded and the next one begins. With a directory
    the runs are stored as they finish: what is there already is not run
    again, and an evaluation that was cut off goes on.

    Args:
        optimizer: A Keras optimizer, learned or not, or a policy, of which
            each run gets a fresh copy; a function that returns an optimizer;
            or a string: a name of the hub such as `"min-max/1"`, an
            optimizer's folder, a run directory, or an analytic rule such as
            `"adam"`.
        problem: Name of a problem, or a `Problem`.
        repeat: Int. Number of runs; run `i` has seed `seed + i`. Defaults to
            `10`.
        epochs: Int. Defaults to `25` for classifiers.
        steps: Int, instead of `epochs`. Defaults to `1000` for functions. For
            data without epochs, a tenth of the steps is one.
        examples: Int. Train on the first of the examples only. Defaults to
            all.
        batch_size: Int. Defaults to the problem's.
        dataset: Name of another data set. Defaults to the problem's.
        seed: Int. Defaults to `0`.
        trace: Int. Look every so many steps at what the optimizer does: the
            root mean square of its update by layer, and the weights of a
            pool. Wants a `directory`. Defaults to no trace.
        directory: Path. The runs are stored in its
            `evaluations/<problem>.npz`, for `keras_l2o.evaluation.read`, with
            the losses of all batches and the trace. Defaults to nowhere.
        overwrite: Bool. Whether an evaluation with other settings that is
            stored there is replaced. Defaults to `False`.
        on_epoch: Function of the run's number, the epoch's, and a dict with
            its validation figures. Defaults to none.

    Returns:
        A `pandas.DataFrame` with a row for each run and epoch: problem,
        optimizer, run, seed, epoch, step, train_loss, validation_loss,
        validation_accuracy, seconds.

    Example:

    >>> frame = keras_l2o.evaluate("min-max/1", "digits_train", repeat=2,
    ...                            epochs=2)
    """
    if repeat < 1:
        raise ValueError(
            f"Argument `repeat` must be at least 1. Received: repeat={repeat}"
        )
    if trace is not None and not directory:
        raise ValueError(
            "A trace is only in the stored evaluation: give the argument "
            f"`directory`, too. Received: trace={trace}"
        )
    problem = prepared(problem, dataset, batch_size, examples)
    entry = catalogue.CATALOGUE.get(problem.name)
    made = contender(optimizer)
    steps, epoch_steps = _length(problem, entry, epochs, steps)
    privacy = private.Privacy() if getattr(entry, "private", False) else None
    settings = {
        "problem": problem.name,
        "optimizer": made.name,
        "optimizer_digest": made.digest(),
        "dataset": getattr(problem.data, "name", None),
        "data_digest": problem.digest(),
        "examples": getattr(problem, "examples", None),
        "batch_size": problem.batch_size,
        "steps": steps,
        "epoch_steps": epoch_steps,
        "seed": seed,
        "trace": trace,
        "privacy": _spent(privacy, problem, steps),
        "versions": versions(),
    }
    evaluation = storage.Evaluation(settings, {})
    path = directory and storage.path_in(directory, problem.name)
    if path and path.exists():
        evaluation = _resumed(path, settings, overwrite) or evaluation
    for number in range(evaluation.runs, repeat):
        run = train(
            problem,
            made.make(),
            steps,
            epoch_steps,
            seed + number,
            privacy=privacy,
            trace=trace,
            on_epoch=on_epoch
            and (lambda epoch, logs, n=number: on_epoch(n, epoch, logs)),
        )
        arrays = run._asdict()
        evaluation = evaluation.with_run(
            {**arrays.pop("trace"), **arrays, "seeds": seed + number}
        )
        if path:
            evaluation.write(path)
    return evaluation.first(repeat).frame()


def prepared(problem, dataset=None, batch_size=None, examples=None):
    """The problem of a name, or a `Problem` as it is."""
    if isinstance(problem, str):
        return problems.get(problem, dataset, batch_size, examples)
    if (dataset, batch_size, examples) != (None, None, None):
        raise ValueError(
            "Arguments `dataset`, `batch_size` and `examples` go with the name "
            "of a problem: a `Problem` has them already."
        )
    return problem


def _length(problem, entry, epochs, steps):
    """Steps of a run and of an epoch."""
    if epochs is not None and steps is not None:
        raise ValueError(
            "Give one of the arguments `epochs` and `steps`. Received: "
            f"epochs={epochs}, steps={steps}"
        )
    for name, value in (("epochs", epochs), ("steps", steps)):
        if value is not None and value < 1:
            raise ValueError(
                f"Argument `{name}` must be at least 1. Received: "
                f"{name}={value}"
            )
    if hasattr(problem, "examples"):
        per_epoch = problem.examples // problem.batch_size
        if steps is None:
            default = catalogue.Entry._field_defaults["epochs"]
            steps = per_epoch * (epochs or getattr(entry, "epochs", default))
        return steps, per_epoch
    if epochs is not None:
        raise ValueError(
            f"Problem {problem.name!r} has no epochs: give the argument "
            f"`steps`. Received: epochs={epochs}"
        )
    default = catalogue.FunctionEntry._field_defaults["steps"]
    steps = steps or getattr(entry, "steps", default)
    return steps, max(1, steps // 10)


def _spent(privacy, problem, steps):
    """The settings of private training and the epsilon of a whole run."""
    if privacy is None:
        return None
    return {
        **privacy._asdict(),
        "epsilon": private.epsilon(
            privacy, problem.batch_size, problem.examples, steps
        ),
    }


def _resumed(path, settings, overwrite):
    """The stored evaluation, if it is of these settings."""
    stored = storage.read(path)
    differing = [
        key for key in IDENTITY if stored.settings.get(key) != settings[key]
    ]
    if not differing:
        return stored
    if overwrite:
        return None
    raise ValueError(
        f"{path} holds an evaluation with other settings: "
        + ", ".join(
            f"{key} is {stored.settings.get(key)!s:.40} there and "
            f"{settings[key]!s:.40} now"
            for key in differing
        )
        + ". Choose another directory, or overwrite it with `overwrite=True`."
    )
