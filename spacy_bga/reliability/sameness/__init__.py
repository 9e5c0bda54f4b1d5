"""The campaign of sameness: however a pipeline is saved, loaded and run, it finds the same entities."""
