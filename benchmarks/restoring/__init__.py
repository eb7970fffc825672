"""The parts of benchmarks/restoration.py: one file a task."""
