"""From a plan to a report: plan, tune, generate, measure, report."""
