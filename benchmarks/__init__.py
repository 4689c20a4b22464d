"""Speed and memory against the cost of reading the data once, and against peers."""
