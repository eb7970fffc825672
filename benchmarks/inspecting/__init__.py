"""What benchmarks/anomaly.py plants, and what it compares with."""
