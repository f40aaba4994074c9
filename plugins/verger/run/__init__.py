"""What one run is: its settings and their form, the installation it belongs to, where it may happen."""
