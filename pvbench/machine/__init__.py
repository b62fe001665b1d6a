"""The machine that a run is on: devices, memory, facts that reports print."""
