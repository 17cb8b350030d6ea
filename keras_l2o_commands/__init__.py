"""The command `keras-l2o`.

A package beside `keras_l2o`, since importing that one imports Keras and its
backend, which takes longer than all that a help page says. Modules here import
`keras_l2o` in the functions that work, never at their top.
"""
