"""The command that measures an optimizer: evaluate."""

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
from keras_l2o_commands.run_progress import run_progress
from keras_l2o_commands.tables import print_line
from keras_l2o_commands.tables import print_summary


@dataclasses.dataclass(frozen=True)
class Subject:
    """Which optimizer is measured; by default the directory's."""

    optimizer: Annotated[
        str | None,
        typer.Option(
            help="Another optimizer than the directory's: a name of the hub, "
            "a folder, or a rule such as adam."
        ),
    ] = None
    family: Annotated[
        str | None,
        typer.Option(
            help="All replicates of a bundled family; each has its folder in "
            "DIRECTORY/FAMILY."
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            "--learning_rate",
            help="The optimizer's learning_rate, which multiplies the update. "
            "Default: its own.",
        ),
    ] = None

    def at_rate(self, source):
        """What `evaluate` takes, at the rate that was asked for."""
        from keras_l2o import evaluation

        if self.learning_rate is None:
            return source
        return evaluation.contender.contender(source).at(self.learning_rate)


def register(application):
    """Adds the command to a `typer.Typer`."""
    declare(application, goes_on(evaluate))


@grouped
def evaluate(
    context: typer.Context,
    problem: Problems,
    subject: Subject,
    length: Length,
    data: Data,
    directory: str = typer.Option(
        help="Run directory. The results go into its folder evaluations; of a "
        "run of several replicates, into that of each."
    ),
    trace: int = typer.Option(
        None, help="Look every so many steps at what the optimizer does."
    ),
):
    """Trains new models with an optimizer and validates them.

    What is stored already is not run again, and an evaluation that was cut
    off goes on. On JAX up to 64 runs go side by side, and are stored together.

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
        _evaluate_family(family, optimizers, problem, protocol, overwrite)
        return
    optimizer = subject.at_rate(subject.optimizer or directory)
    for name in problem.names:
        epochs = _epochs(name, protocol)
        with run_progress(name, length.repeat, epochs) as advance:
            evaluation.evaluate(
                optimizer,
                name,
                directory=directory,
                overwrite=overwrite,
                on_epoch=lambda run, epoch, logs: advance(
                    run, _epoch_line(epoch, logs)
                ),
                **protocol,
            )
        path = evaluation.storage.path_in(directory, name)
        stored = evaluation.read(path).first(length.repeat)
        print_summary(stored.frame())
        if stored.settings["privacy"]:
            spent = stored.settings["privacy"]
            print_line(
                f"epsilon {spent['epsilon']:.3g}, delta {spent['delta']:g}"
            )
        print_line(f"stored in {path}")


def _bundled(family, directory):
    """Where each replicate of a bundled family is stored, by its name."""
    from keras_l2o import hub

    names = list(hub.names.replicates(family))
    if not names:
        raise ValueError(
            f"There is no bundled family {family!r}. `keras-l2o list` has all."
        )
    return {name: pathlib.Path(directory, name) for name in names}


def _of_run(directory):
    """Where each of a run's replicates is stored; none if it is one alone."""
    from keras_l2o import strategies

    folders = strategies.RunDirectory(directory).optimizers()
    return {str(f.parent): f.parent for name, f in folders.items() if name}


def _evaluate_family(family, optimizers, problem, protocol, overwrite):
    from keras_l2o import evaluation

    folders, repeat = list(optimizers), protocol["repeat"]
    for name in problem.names:
        total = len(optimizers) * repeat
        epochs = _epochs(name, protocol)
        with run_progress(name, total, epochs) as advance:
            frame = evaluation.evaluate_replicates(
                list(optimizers.values()),
                name,
                directories=folders,
                overwrite=overwrite,
                on_epoch=lambda replicate, run, epoch, logs: advance(
                    (replicate - 1) * repeat + run,
                    f"{family}/{replicate}, {_epoch_line(epoch, logs)}",
                ),
                **protocol,
            )
        print_summary(frame.assign(optimizer=family))
        print_line(f"stored in {folders[0].parent}")


def _epochs(problem, protocol):
    """How many epochs a run has, or `None` where only its steps are known."""
    from keras_l2o.problems import catalogue

    if protocol["epochs"] is not None:
        return protocol["epochs"]
    if problem not in catalogue.CATALOGUE:
        return 1  # an unknown name, which fails at once
    entry = catalogue.CATALOGUE[problem]
    if isinstance(entry, catalogue.FunctionEntry):
        return 10
    return None if protocol["steps"] is not None else entry.epochs


def _epoch_line(epoch, logs):
    loss = logs.get("loss")
    return f"epoch {epoch + 1}" + ("" if loss is None else f", {loss:.3g}")
