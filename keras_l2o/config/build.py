"""Makes the objects of a run from its configuration."""

import pathlib
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import keras

from keras_l2o import hub
from keras_l2o import perturbations
from keras_l2o import policies
from keras_l2o import problems
from keras_l2o import strategies
from keras_l2o.config import sections
from keras_l2o.config.configuration import Configuration
from keras_l2o.config.configuration import description
from keras_l2o.config.errors import ConfigurationError
from keras_l2o.strategies.run_directory import OPTIMIZER
from keras_l2o.strategies.run_directory import RunDirectory
from keras_l2o.training import MetaTrainer
from keras_l2o.training import Objective
from keras_l2o.training import estimators
from keras_l2o.typing import Path


class Built(NamedTuple):
    """The objects of a run: `trainer.fit(callbacks=callbacks)` starts it.

    Attributes:
        trainer: The `keras_l2o.MetaTrainer`, compiled.
        strategy: The strategy, a callback that plans and stores the run.
        callbacks: List of callbacks for `fit`: the strategy, and the
            perturbation if there is one.

    Example:

    >>> configuration = keras_l2o.config.resolve(["digits_train", "adam"])
    >>> built = keras_l2o.config.build(configuration)
    >>> [type(callback).__name__ for callback in built.callbacks]
    ['Curriculum']
    """

    trainer: MetaTrainer
    strategy: strategies.Strategy
    callbacks: list[keras.callbacks.Callback]


def build(
    configuration: Configuration,
    directory: Path | None = None,
    metadata: Mapping[str, Any] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
) -> Built:
    """Makes the trainer, compiled, and the callbacks of a configuration.

    Sets Keras's global seed, so that a student's first weights depend on the
    configuration alone.

    Args:
        configuration: A `Configuration`.
        directory: Path of the run's directory. Defaults to `None`: the run
            leaves no files.
        metadata: Dict that JSON can hold, which is added to the metadata of
            the optimizer that the run saves. Defaults to `None`.
        custom_objects: Dict of classes that the folders of trained policies
            may name, as in `keras_l2o.load`. Defaults to `None`.

    Returns:
        A `Built`.

    Raises:
        ConfigurationError: A policy's directory has no trained optimizer.
        ValueError: The values of some fields contradict each other.

    Example:

    >>> configuration = keras_l2o.config.resolve(
    ...     ["digits_train", "adam", "rmsprop", "gaussian"],
    ...     overrides=[("strategy/num_periods", 2)])
    >>> built = keras_l2o.config.build(configuration, "results/mine")
    >>> [type(callback).__name__ for callback in built.callbacks]
    ['Curriculum', 'Gaussian']
    """
    keras.utils.set_random_seed(configuration.seed)
    section: Any = configuration.training
    teachers, training = section.teachers, section.model_dump()
    objective, fields, compilation = (
        {name: training[name] for name in names}
        for names in (
            sections.OBJECTIVE, sections.TRAINER, sections.COMPILATION
        )
    )  # fmt: skip
    estimator = fields.pop("estimator")
    trainer = MetaTrainer(
        _rule(configuration.policy, custom_objects),
        _teachers(teachers, custom_objects),
        [problems.get(**p.model_dump()) for p in configuration.problems],
        objective=Objective(**objective),
        seed=configuration.seed,
        estimator=estimators.get(estimator["name"], **estimator["config"]),
        replicates=configuration.replicates,
        **fields,
    )
    trainer.compile(_optimizer(configuration.optimizer), **compilation)
    strategy = strategies.get(
        **configuration.strategy,
        seed=configuration.seed,
        directory=directory,
        description=_description(configuration, directory),
        metadata=metadata,
    )
    callbacks = [strategy]
    perturbation = configuration.policy["perturbation"]
    if perturbation is not None:
        callbacks.append(
            perturbations.get(perturbation["name"], **perturbation["config"])
        )
    return Built(trainer, strategy, callbacks)


def _description(configuration, directory):
    """Dict that describes the run: the stored one if it says the same."""
    stored = None
    if directory is not None:
        try:
            stored = RunDirectory(directory).config()["run"]
        except strategies.RunError:
            pass  # no run, or a damaged one, of which the strategy will tell
    return description(configuration, stored)


def trained_policy(
    directory: Path, custom_objects: Mapping[str, Any] | None = None
) -> policies.Policy:
    """Loads the policy of a trained optimizer.

    Args:
        directory: Path of a run's directory or of an optimizer's folder, or
            the name of an optimizer that comes with the package.
        custom_objects: Dict of classes that the folder may name, as in
            `keras_l2o.load`. Defaults to `None`.

    Returns:
        The `keras_l2o.policies.Policy`, with its weights.

    Raises:
        ConfigurationError: The directory has no trained optimizer.

    Example:

    >>> policy = keras_l2o.config.trained_policy("min-max-compact/3")
    >>> type(policy).__name__
    'FeatureMLP'
    """
    path = pathlib.Path(directory)
    for folder in (path / OPTIMIZER, path):
        if (folder / "policy.weights.h5").exists():
            return hub.load(folder, custom_objects).policy
    if not path.exists():
        try:
            return hub.from_hub(directory, custom_objects=custom_objects).policy
        except hub.UnknownName:
            pass
    raise ConfigurationError(
        f"There is no trained optimizer in {directory}. Train it first, for "
        "example: keras-l2o train --presets=conv_train,cl_fixed "
        f"--strategy=repeat --policy=less_choice --directory={directory}"
    )


def _rule(section, custom_objects):
    """The policy of a section, which may have sections of others in it."""
    if "directory" in section:
        return trained_policy(section["directory"], custom_objects)
    arguments = dict(section)
    arguments.pop("perturbation", None)
    pool, rule, optimizer = (
        arguments.pop(key, None) for key in ("pool", "rule", "optimizer")
    )
    if pool is not None:
        arguments["pool"] = [_rule(member, custom_objects) for member in pool]
    if rule is not None:
        arguments["rule"] = _rule(rule, custom_objects)
    if optimizer is not None:
        arguments["optimizer"] = _optimizer(optimizer)
    return policies.get(**arguments)


def _label(section):
    """What logs call a rule: of a rule within another, the inner one."""
    for key in ("rule", "optimizer"):
        if section.get(key) is not None:
            return _label(section[key])
    return section["name"]


def _teachers(sections, custom_objects):
    """Dict from unique names to policies, the teachers."""
    teachers = {}
    for section in sections:
        label = _label(section)
        name, count = label, 1
        while name in teachers:
            count += 1
            name = f"{label}_{count}"
        teachers[name] = _rule(section, custom_objects)
    return teachers


def _optimizer(section):
    """The Keras optimizer of a section, with its arguments."""
    made = keras.optimizers.get(section["name"])
    return type(made).from_config({**made.get_config(), **section["config"]})
