"""The command line `keras-l2o`.

This is a package of its own, beside `keras_l2o`, because importing `keras_l2o`
imports Keras and a backend, which takes seconds. A help page must not wait for
that. Most modules here therefore import `keras_l2o` inside the functions that
need it; those that have to import it at their top, such as Keras callbacks, are
themselves imported inside functions.
"""
