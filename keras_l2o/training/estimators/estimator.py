from collections.abc import Sequence

import keras

from keras_l2o.training.inner_loop import Trajectory
from keras_l2o.training.task import Task
from keras_l2o.training.task import TaskResult
from keras_l2o.typing import Config
from keras_l2o.typing import Nest
from keras_l2o.typing import Tensor


class Estimator:
    """Base class of ways to estimate the outer gradient.

    Pass one as `MetaTrainer(estimator=...)`. The outer gradient is the mean
    over the tasks of what `estimate` returns. A subclass implements
    `estimate`, and those of the other methods that it needs. All of them
    except `build` are pure functions of tensors.

    Example:

    >>> estimators = keras_l2o.training.estimators
    >>> class Descent(estimators.TruncatedBackprop):
    ...     def estimate(self, task, weights):  # half of the usual gradient
    ...         result = super().estimate(task, weights)
    ...         halves = [gradient / 2 for gradient in result.gradients]
    ...         return result._replace(gradients=halves)
    >>> trainer = keras_l2o.MetaTrainer(
    ...     problems="quadratic_10", estimator=Descent())
    """

    #: Whether an outer step is a whole episode, not one truncation of it.
    whole_episodes = False
    #: Variables that the compiled step reads and assigns, such as the state of
    #: a seed generator; empty until `build` has created them.
    variables: Sequence[keras.Variable] = ()

    def build(self) -> None:
        """Creates the variables, if they are not there yet.

        The trainer calls it.
        """

    def start(
        self, trajectories: tuple[Trajectory, ...], weights: Sequence[Tensor]
    ) -> Nest:
        """What a task carries from one outer step to the next, at first.

        Only its structure, shapes and dtypes matter: the values are set to
        zero.

        Args:
            trajectories: Tuple of `Trajectory`, first the student's and then
                one for each teacher.
            weights: List of tensors, the student's trainable weights.

        Returns:
            Nest of tensors. In this class, the trajectories.
        """
        return trajectories

    def draw(self, weights: Sequence[Tensor], tasks: int) -> Nest:
        """Draws noise for the tasks of an outer step.

        Args:
            weights: List of tensors, the student's trainable weights.
            tasks: Int, the number of tasks.

        Returns:
            Nest of tensors with a first axis of `tasks`, of which each task
            gets its row as `task.drawn`. In this class, an empty tuple.
        """
        return ()

    def estimate(self, task: Task, weights: Sequence[Tensor]) -> TaskResult:
        """The outer gradient of one task.

        Args:
            task: `keras_l2o.training.task.Task`.
            weights: List of tensors, the student's trainable weights, as the
                attacks of perturbations have changed them.

        Returns:
            `keras_l2o.training.task.TaskResult`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `estimate`."
        )

    def attacked(self, task: Task) -> TaskResult:
        """The estimate at the weights that the perturbations choose.

        Args:
            task: `keras_l2o.training.task.Task`.

        Returns:
            `keras_l2o.training.task.TaskResult`.
        """
        weights = task.tensors.weights
        for perturbation in task.distillation.perturbations:
            weights = perturbation.attack(
                weights, lambda at: self.estimate(task, at).gradients
            )
        return self.estimate(task, weights)

    def get_config(self) -> Config:
        """The arguments of the constructor.

        Returns:
            Dict that JSON can hold.
        """
        return {}
