"""Benchmarks and studies, run by hand: `make bench`."""
