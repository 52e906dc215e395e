"""What a peer sent is parsed in a child process that the parent watches, and ends when it takes too much."""
