"""What the package costs and how good its optimizers are, measured."""
