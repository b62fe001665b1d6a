"""From scores to statements: means, intervals, tests, places."""
