"""The campaign of load: a long stream in one process, a server of several threads, and processes and threads at work."""
