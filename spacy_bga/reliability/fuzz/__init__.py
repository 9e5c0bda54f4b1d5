"""The fuzz campaign: hostile and broken input of every kind that reaches the component from outside."""
