"""The command `evaluate`, which measures how good an optimizer is."""

import dataclasses
import pathlib
from typing import Annotated

import typer

from keras_l2o_commands.declare import declare
from keras_l2o_commands.declare import grouped
from keras_l2o_commands.interruption import goes_on
from keras_l2o_commands.options import Data
from keras_l2o_commands.options import Length
from keras_l2o_commands.options import Problems
from keras_l2o_commands.options import Where
from keras_l2o_commands.run_progress import run_progress
from keras_l2o_commands.tables import print_line
from keras_l2o_commands.tables import print_summary


@dataclasses.dataclass(frozen=True)
class Subject:
    """Options of `evaluate`: which optimizer is measured.

    By default it is the one that the run in `--directory` has trained.
    """

    optimizer: Annotated[
        str | None,
        typer.Option(
            help="Optimizer to evaluate instead of the one that the run in "
            "DIRECTORY has trained: a bundled name such as min-max/1, an "
            "address hf://org/repo, a folder, or a rule such as adam."
        ),
    ] = None
    family: Annotated[
        str | None,
        typer.Option(
            help="Evaluate all replicates of this bundled family instead. "
            "Each has its results in a folder in DIRECTORY/FAMILY."
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            "--learning_rate",
            help="Learning rate of the optimizer, which multiplies its "
            "updates. Default: the one that it was saved with.",
        ),
    ] = None

    def at_rate(self, source):
        """An optimizer at the learning rate that was given, if one was.

        Args:
            source: String, as `keras_l2o.evaluate` takes for an optimizer.

        Returns:
            The string itself if no learning rate was given, and otherwise a
            `keras_l2o.evaluation.contender.Contender`.
        """
        from keras_l2o import evaluation

        if self.learning_rate is None:
            return source
        return evaluation.contender.contender(source).at(self.learning_rate)


def register(application):
    """Adds the command of this module to an application.

    Args:
        application: `typer.Typer`.
    """
    declare(application, goes_on(evaluate))


@grouped
def evaluate(
    context: typer.Context,
    problem: Problems,
    subject: Subject,
    length: Length,
    data: Data,
    where: Where,
    directory: str = typer.Option(
        help="Run directory. Results are stored in its folder evaluations or, "
        "if the run has several replicates, in that of each replicate."
    ),
    trace: int = typer.Option(
        None,
        help="Every this many steps, record the size of the updates and, of a "
        "choice policy, the weights of its pool.",
    ),
):
    """Trains new models with an optimizer and validates them.

    Runs that are stored already are not repeated, so that the same command
    continues an evaluation that was interrupted. On JAX up to 64 runs are
    trained at the same time, and stored together when they end.

    Example: keras-l2o evaluate --problem=conv_train
    --directory=results/rnnprop/min-max/1 --repeat=10
    """
    from keras_l2o import evaluation

    protocol = {**vars(length), **vars(data), "trace": trace}
    overwrite = protocol.pop("overwrite")
    if subject.family is not None:
        if subject.optimizer is not None:
            raise ValueError("Give one of --optimizer and --family.")
        family = subject.family
        replicates = _bundled(family, directory)
    elif subject.optimizer is None:
        family = pathlib.Path(directory).name
        replicates = _of_run(directory)
    else:
        replicates = {}
    if replicates:
        optimizers = {
            folder: subject.at_rate(name) for name, folder in replicates.items()
        }
        with where.cluster() as protocol["cluster"]:
            _evaluate_family(family, optimizers, problem, protocol, overwrite)
        return
    optimizer = subject.at_rate(subject.optimizer or directory)
    with where.cluster() as cluster:
        for name in problem.names:
            with run_progress(name, length.repeat) as progress:
                evaluation.evaluate(
                    optimizer,
                    name,
                    directory=directory,
                    overwrite=overwrite,
                    on_start=progress.start,
                    on_epoch=lambda _, *figures, progress=progress: (
                        progress.advance(_epoch_line(*figures))
                    ),
                    cluster=cluster,
                    **protocol,
                )
            _print_stored(directory, name, length.repeat)


def _print_stored(directory, name, repeat):
    """Prints what is stored of an evaluation."""
    from keras_l2o import evaluation

    path = evaluation.storage.path_in(directory, name)
    stored = evaluation.read(path).first(repeat)
    print_summary(stored.frame())
    if stored.settings["privacy"]:
        spent = stored.settings["privacy"]
        print_line(f"epsilon {spent['epsilon']:.3g}, delta {spent['delta']:g}")
    print_line(f"stored in {path}")


def _bundled(family, directory):
    """Dict from the names of a bundled family's replicates to their folders."""
    from keras_l2o import hub

    names = list(hub.names.replicates(family))
    if not names:
        raise ValueError(
            f"There is no bundled family {family!r}. `keras-l2o list` lists "
            "all of them."
        )
    return {name: pathlib.Path(directory, name) for name in names}


def _of_run(directory):
    """Dict from the optimizers of a run's replicates to their folders.

    It is empty if the run trained a single student.
    """
    from keras_l2o import strategies

    folders = strategies.RunDirectory(directory).optimizers()
    return {str(f.parent): f.parent for name, f in folders.items() if name}


def _evaluate_family(family, optimizers, problem, protocol, overwrite):
    from keras_l2o import evaluation

    folders, repeat = list(optimizers), protocol["repeat"]
    for name in problem.names:
        total = len(optimizers) * repeat
        with run_progress(name, total) as progress:
            frame = evaluation.evaluate_replicates(
                list(optimizers.values()),
                name,
                directories=folders,
                overwrite=overwrite,
                on_start=progress.start,
                on_epoch=lambda replicate, _, *figures, progress=progress: (
                    progress.advance(
                        f"{family}/{replicate}, {_epoch_line(*figures)}"
                    )
                ),
                **protocol,
            )
        print_summary(frame.assign(optimizer=family))
        print_line(f"stored in {folders[0].parent}")


def _epoch_line(epoch, logs):
    loss = logs.get("loss")
    return f"epoch {epoch + 1}" + ("" if loss is None else f", {loss:.3g}")
