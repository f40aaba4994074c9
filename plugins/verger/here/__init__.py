"""A run on Airflow's own machine: what the machine can take, whether it is the better place, and the program."""
