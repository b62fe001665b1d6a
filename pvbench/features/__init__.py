"""Networks that turn frames into features, and the evaluators around them; importing this package loads none."""
