"""The campaign of soaking: one process tags a stream of posts for long, and its memory is watched."""
