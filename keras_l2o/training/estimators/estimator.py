class Estimator:
    """Base class: what a task says about the student's weights.

    `MetaTrainer(estimator=...)` takes one. The outer gradient is the mean of
    the tasks' `estimate`. A subclass implements `estimate`, and whichever of
    the other methods it needs; `keras_l2o.training.estimators` has examples.
    All are pure functions of tensors.
    """

    #: Whether an outer step is a whole episode, not one truncation of it.
    whole_episodes = False
    #: Variables that the compiled step reads and assigns, such as the state of
    #: a seed generator, once `build` has made them.
    variables = ()

    def build(self):
        """Makes the variables, once. Called by the trainer."""

    def start(self, trajectories, weights):
        """What a task carries from one outer step to the next, at first.

        Only its structure, shapes and dtypes count.

        Args:
            trajectories: Tuple of `Trajectory`, the student's and one a
                teacher.
            weights: List of tensors, the student's trainable weights.

        Returns:
            Nest of tensors. Defaults to the trajectories.
        """
        return trajectories

    def draw(self, weights, tasks):
        """Draws noise for an outer step's tasks.

        Args:
            weights: List of tensors, the student's trainable weights.
            tasks: Int.

        Returns:
            Nest of tensors with a first axis of `tasks`; each task gets its
            row as `task.drawn`. Defaults to nothing.
        """
        return ()

    def estimate(self, task, weights):
        """The outer gradient of one task.

        Args:
            task: `keras_l2o.training.task.Task`.
            weights: List of tensors, the student's trainable weights, or where
                an attack has moved them.

        Returns:
            `keras_l2o.training.task.TaskResult`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `estimate`."
        )

    def attacked(self, task):
        """The estimate at the weights that the perturbations choose."""
        weights = task.tensors.weights
        for perturbation in task.distillation.perturbations:
            weights = perturbation.attack(
                weights, lambda at: self.estimate(task, at).gradients
            )
        return self.estimate(task, weights)

    def get_config(self):
        """The constructor's arguments."""
        return {}
