"""The rules that both sides of Verger keep: addresses, schemas, the feature table, and which row answers an image.

Airflow imports it from here, and the cluster gets it inside `spark_jobs.zip`. It knows neither Airflow nor Spark, and
reaches a store only through what its callers hand it.
"""
