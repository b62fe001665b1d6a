"""The miniature world: rendered people and places, and the trainings of the mini weights."""
