"""Registers what Verger adds to Airflow; `.airflowignore` hides the package beside it from the plugin loader."""
