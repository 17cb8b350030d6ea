"""The commands of `keras-l2o`, each with what it needs."""
