"""The campaign of load: one pipeline, asked by many clients at once, and handed on to processes and threads."""
