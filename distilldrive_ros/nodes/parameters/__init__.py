"""Parameters of the nodes: one table each, from which declarations, checks, YAML files and the README follow."""
