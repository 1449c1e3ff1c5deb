"""Reactive traffic: SUMO behind a `WorldSession`."""
