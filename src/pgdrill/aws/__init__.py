"""The only modules that call AWS, one service each. Nothing here waits, polls or decides."""
