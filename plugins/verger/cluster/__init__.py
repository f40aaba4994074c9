"""The cluster from its shape and price to its end, and the steps that it runs."""
