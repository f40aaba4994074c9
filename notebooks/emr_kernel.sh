#!/bin/bash
# Makes the notebook's kernel on the primary node of an EMR cluster, for JupyterEnterpriseGateway and EMR Studio.
#
#   emr_kernel.sh --requirements s3://bucket/notebook/requirements.txt --code s3://bucket/code/<digest>
#                 --bucket bucket --region eu-west-1 [--model s3://bucket/models/<fingerprint>]
#                 [--prefix /opt/verger] [--spark-home /usr/lib/spark] [--master yarn]
#                 [--kernels /emr/notebook-env/share/jupyter/kernels]
#
# Run it as a step, when the bootstrap action has made <prefix>/venv on every node. Run again, it is done sooner.
set -euo pipefail

fail() { echo "emr_kernel: error: $*" >&2; exit 1; }

requirements='' code='' bucket='' region='' model='' prefix=/opt/verger spark_home=/usr/lib/spark master=yarn
kernels=/emr/notebook-env/share/jupyter/kernels
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || fail "$1 has no value"
    case $1 in
        --requirements) requirements=$2 ;;
        --code) code=${2%/} ;;
        --bucket) bucket=$2 ;;
        --region) region=$2 ;;
        --model) model=$2 ;;
        --prefix) prefix=$2 ;;
        --spark-home) spark_home=$2 ;;
        --master) master=$2 ;;
        --kernels) kernels=$2 ;;
        *) fail "unknown argument $1" ;;
    esac
    shift 2
done
for name in requirements code bucket region; do
    [ -n "${!name}" ] || fail "--$name is missing"
done
nodes_python=$prefix/venv/bin/python
[ -x "$nodes_python" ] || fail "$nodes_python is not there: the cluster needs Verger's bootstrap action"
py4j=$(compgen -G "$spark_home/python/lib/py4j-*-src.zip") || fail "$spark_home is no Spark with Python"

fetch() {
    case $1 in
        s3://*) aws s3 cp --only-show-errors "$1" "$2" || fail "$1 could not be read: may the instance profile read it?" ;;
        *) cp "$1" "$2" || fail "$1 could not be read" ;;
    esac
}

# What needs root on a node needs none elsewhere.
as_owner() { if [ -w "$1" ]; then shift; "$@"; else shift; sudo "$@"; fi; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch "$requirements" "$work/requirements.txt"
fetch "$code/spark_jobs.zip" "$work/spark_jobs.zip"
as_owner "$prefix" install -m 644 "$work/spark_jobs.zip" "$prefix/spark_jobs.zip"

# The same Python as the nodes': Spark refuses another minor version in the driver than in the workers.
environment=$prefix/notebook-$(sha256sum "$work/requirements.txt" | cut -c 1-16)
if [ ! -e "$environment/.complete" ]; then
    rm -rf "$environment"
    "$nodes_python" -m venv "$environment" || fail "$nodes_python could not make $environment"
    "$environment/bin/python" -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: \
        --require-hashes --requirement "$work/requirements.txt" || fail "pip could not install $requirements"
    touch "$environment/.complete"
fi

"$nodes_python" - "$environment" "$prefix" "$spark_home" "$py4j" "$master" "$bucket" "$region" "$model" \
    >"$work/kernel.json" <<'PYTHON'
import json
import sys

environment, prefix, spark_home, py4j, master, bucket, region, model = sys.argv[1:]
nodes_python = f"{prefix}/venv/bin/python"
jobs = f"{prefix}/spark_jobs.zip"
submit = f"--master {master} --deploy-mode client --conf spark.pyspark.python={nodes_python} --py-files {jobs}"
variables = {
    "SPARK_HOME": spark_home,
    "PYTHONPATH": f"{spark_home}/python:{py4j}:{jobs}",
    "PYSPARK_PYTHON": nodes_python,
    "PYSPARK_SUBMIT_ARGS": f"{submit} pyspark-shell",
    "OPENBLAS_NUM_THREADS": "1",
    "AWS_REGION": region,
    "VERGER_BUCKET": bucket,
}
kernel = {
    "display_name": "Verger (PySpark)",
    "language": "python",
    "argv": [f"{environment}/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    "env": variables | ({"VERGER_MODEL_URI": model} if model else {}),
}
print(json.dumps(kernel, indent=1))
PYTHON
mkdir -p "$kernels/verger" 2>/dev/null || sudo mkdir -p "$kernels/verger"
as_owner "$kernels/verger" install -m 644 "$work/kernel.json" "$kernels/verger/kernel.json"
echo "emr_kernel: $kernels/verger/kernel.json is ready"
