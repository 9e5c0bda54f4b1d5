"""Experiments on the package, for a clone: nothing here is shipped, and nothing of the package needs it."""
