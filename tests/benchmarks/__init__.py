"""The benchmarks run: in as little as shows it, and with no timing looked at."""
