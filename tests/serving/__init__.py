"""The page on which a photo is interrogated."""
