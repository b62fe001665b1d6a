"""The people that pvbench ships, one folder each."""
