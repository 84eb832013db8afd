"""A local page on which a photo is interrogated: what the model says without what is drawn over."""
