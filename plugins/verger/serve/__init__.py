"""Results inside Airflow: the tab of a DAG run, the link to it, and the run's note."""
