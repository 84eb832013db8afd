"""Other packages' methods beside those of this one: the same model, photos and machine, in one run."""
