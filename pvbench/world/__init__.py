"""The miniature world: rendered people and places."""
