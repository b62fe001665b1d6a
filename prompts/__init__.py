"""The prompt sets that pvbench ships, one TOML file each."""
