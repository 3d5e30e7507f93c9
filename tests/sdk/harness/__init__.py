"""What the SDK behaviours stand on: the namespace, the hub's process, waiting, and the list of behaviours."""
