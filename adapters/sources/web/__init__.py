"""Sources that are asked over the network, each by its documented interface."""
