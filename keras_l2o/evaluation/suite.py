"""How an optimizer does on a problem, run after run."""

import contextlib
import functools

from keras_l2o import problems
from keras_l2o.evaluation import at_once
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
    custom_objects=None,
):
    """Trains new models of a problem with an optimizer and validates them.

    A run that diverges is recorded and the next one begins. With a directory
    each run is stored when it ends: what is there already is not run again,
    and an evaluation that was cut off goes on. On JAX up to 64 runs go side
    by side in one compiled program, unless they are private or traced: they
    end, and are stored, together, and what is cut off before is lost; the
    seconds are those of all over their number.

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
        custom_objects: Dict of classes that an optimizer's folder may name,
            as in `keras_l2o.load`. Defaults to none.

    Returns:
        A `pandas.DataFrame` with a row for each run and epoch: problem,
        optimizer, run, seed, epoch, step, train_loss, validation_loss,
        validation_accuracy, seconds.

    Example:

    >>> frame = keras_l2o.evaluate("min-max/1", "digits_train", repeat=2,
    ...                            epochs=2)
    """
    return _evaluate(
        [(optimizer, directory)],
        problem,
        repeat=repeat,
        epochs=epochs,
        steps=steps,
        examples=examples,
        batch_size=batch_size,
        dataset=dataset,
        seed=seed,
        trace=trace,
        overwrite=overwrite,
        on_epoch=on_epoch and (lambda _, *figures: on_epoch(*figures)),
        custom_objects=custom_objects,
    )[0]


def evaluate_replicates(
    optimizers, problem, directories=None, on_epoch=None, **options
):
    """Evaluates the replicates of a family; on JAX all of them at once.

    Args:
        optimizers: List of what `evaluate` takes: one rule, with weights of
            its own each.
        problem: As in `evaluate`.
        directories: List of paths, one an optimizer, where its runs are
            stored. Defaults to nowhere.
        on_epoch: Function of the replicate's number, from 1, the run's, the
            epoch's, and a dict of figures. Defaults to none.
        **options: As in `evaluate`.

    Returns:
        A `pandas.DataFrame` as `evaluate` returns, with a column `replicate`,
        from 1.
    """
    import pandas

    if directories is None:
        directories = [None] * len(optimizers)
    if not optimizers or len(directories) != len(optimizers):
        raise ValueError(
            "Argument `directories` must have a path for each optimizer. "
            f"Received: {len(directories)} of {len(optimizers)}"
        )
    frames = _evaluate(
        list(zip(optimizers, directories)),
        problem,
        on_epoch=on_epoch,
        **options,
    )
    return pandas.concat(
        [frame.assign(replicate=i + 1) for i, frame in enumerate(frames)],
        ignore_index=True,
    )


def _evaluate(pairs, problem, **options):
    """A frame for each pair of an optimizer and a directory."""
    with contextlib.ExitStack() as held:
        return _evaluate_alone(held, pairs, problem, **options)


def _evaluate_alone(
    held,
    pairs,
    problem,
    repeat=10,
    epochs=None,
    steps=None,
    examples=None,
    batch_size=None,
    dataset=None,
    seed=0,
    trace=None,
    overwrite=False,
    on_epoch=None,
    custom_objects=None,
):
    """As `_evaluate`; what is stored is this process's until `held` ends."""
    if repeat < 1:
        raise ValueError(
            f"Argument `repeat` must be at least 1. Received: repeat={repeat}"
        )
    if trace is not None and not all(directory for _, directory in pairs):
        raise ValueError(
            "A trace is only in the stored evaluation: give the argument "
            f"`directory`, too. Received: trace={trace}"
        )
    problem = prepared(problem, dataset, batch_size, examples)
    entry = catalogue.CATALOGUE.get(problem.name)
    steps, epoch_steps = _length(problem, entry, epochs, steps)
    privacy = private.Privacy() if getattr(entry, "private", False) else None
    common = {
        "problem": problem.name,
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
    shelves = [
        _Shelf(
            number,
            contender(optimizer, custom_objects),
            directory,
            common,
            overwrite,
            held,
        )
        for number, (optimizer, directory) in enumerate(pairs, 1)
    ]
    left = [
        (shelf, number)
        for shelf in shelves
        for number in range(shelf.evaluation.runs, repeat)
    ]

    def report(shelf, number, epoch, logs):
        if on_epoch is not None:
            on_epoch(shelf.replicate, number, epoch, logs)

    if at_once.can_run(problem) and privacy is None and trace is None:
        for group in _groups(left):
            runs = at_once.train_at_once(
                problem,
                [shelf.contender.make() for shelf, _ in group],
                [seed + number for _, number in group],
                steps,
                epoch_steps,
                lambda run, *figures, g=group: report(*g[run], *figures),
            )
            for (shelf, number), run in zip(group, runs):
                shelf.put(run, seed + number)
    else:
        for shelf, number in left:
            run = train(
                problem,
                shelf.contender.make(),
                steps,
                epoch_steps,
                seed + number,
                privacy=privacy,
                trace=trace,
                on_epoch=functools.partial(report, shelf, number),
            )
            shelf.put(run, seed + number)
    return [shelf.evaluation.first(repeat).frame() for shelf in shelves]


class _Shelf:
    """Where the runs of one optimizer go."""

    def __init__(
        self, replicate, contender, directory, settings, overwrite, held
    ):
        self.replicate, self.contender = replicate, contender
        settings = {
            **settings,
            "optimizer": contender.name,
            "optimizer_digest": contender.digest(),
        }
        self.path = directory and storage.path_in(
            directory, settings["problem"]
        )
        self.evaluation = storage.Evaluation(settings, {})
        if self.path:
            held.enter_context(storage.hold(self.path))
        if self.path and self.path.exists():
            stored = _resumed(self.path, settings, overwrite)
            self.evaluation = stored or self.evaluation

    @functools.cached_property
    def rule(self):
        return at_once.rule(self.contender.make())

    def put(self, run, seed):
        arrays = run._asdict()
        self.evaluation = self.evaluation.with_run(
            {**arrays.pop("trace"), **arrays, "seeds": seed}
        )
        if self.path:
            self.evaluation.write(self.path)


def _groups(runs):
    """Runs that may go side by side: of one rule, and not too many."""
    groups = []
    for shelf, number in runs:
        full = groups and len(groups[-1]) == at_once.RUNS
        if not groups or full or groups[-1][-1][0].rule != shelf.rule:
            groups.append([])
        groups[-1].append((shelf, number))
    return groups


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
