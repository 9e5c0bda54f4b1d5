"""Campaigns that try to break the component, and write down what they have tried and found."""
