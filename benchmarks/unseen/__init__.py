"""Tasks that no meta-training has seen; `README.md` says how to run them."""
