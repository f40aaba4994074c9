"""A real YARN for a local cluster: a ResourceManager on its primary node, a NodeManager on each core and task node."""
