"""Bulk annotation: files of texts, of any size, become files of entities, on one process, several, or a cluster."""
