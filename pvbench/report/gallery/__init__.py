"""The gallery: one page with every video, to look at in a browser, from disk and without a network."""
