"""Visual features computed beforehand, from images or captions, into files that `visual_features` takes."""
