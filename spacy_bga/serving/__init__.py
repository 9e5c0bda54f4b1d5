"""A pipeline behind an HTTP endpoint, on one machine or on a cluster."""
