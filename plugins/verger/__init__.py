"""What the DAGs of Verger call: settings, planning, the cluster and its nets, publishing."""
