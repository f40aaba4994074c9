#!/bin/sh
# Pins every environment, with hashes. Later environments take the versions of earlier ones (-c), so that what
# the tests see is what Airflow and the nodes run. Usage: tools/compile_requirements.sh UV [more uv arguments]
set -eu
cd "$(dirname "$0")/../requirements"
uv=$1; shift
case $uv in */*) uv=$(cd .. && cd "$(dirname "$uv")" && pwd)/$(basename "$uv") ;; esac

compile() {
    output=$1; shift
    "$uv" pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --custom-compile-command 'make requirements' "$@" -o "$output"
}

compile uv.txt uv.in "$@"
compile airflow.txt airflow.in "$@"
compile ../bootstrap/requirements.txt -c airflow.txt ../bootstrap/requirements.in "$@"
compile spark.txt -c airflow.txt -c ../bootstrap/requirements.txt spark.in "$@"
compile spark_emr.txt -c airflow.txt -c ../bootstrap/requirements.txt spark_emr.in "$@"
compile stack_airflow.txt -c airflow.txt stack_airflow.in "$@"
compile stack_spark.txt -c spark.txt stack_spark.in "$@"
compile local_emr.txt -c airflow.txt local_emr.in "$@"
compile model.txt -c spark.txt model.in "$@"
compile ../bootstrap/requirements-keras.txt -c ../bootstrap/requirements.txt -c model.txt ../bootstrap/requirements-keras.in "$@"
compile bench.txt -c spark.txt -c model.txt bench.in "$@"
compile dev.txt -c airflow.txt -c spark.txt -c local_emr.txt dev.in "$@"
compile notebook.txt -c airflow.txt -c spark.txt notebook.in "$@"
compile emr_kernel.txt -c ../bootstrap/requirements.txt -c notebook.txt emr_kernel.in "$@"
# On its own: checkov pins boto3 and others at versions that Airflow cannot have.
compile infra.txt infra.in "$@"
