"""What learned optimizers cost on a graphics card: see `benchmarks/gpu.sh`."""
