#!/bin/sh
# Serves the local EMR with the S3 server's credentials. What belonged to clusters of a process before is removed.
set -eu
AWS_ACCESS_KEY_ID=$(cat /run/verger/s3/access_key)
AWS_SECRET_ACCESS_KEY=$(cat /run/verger/s3/secret_key)
export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
rm -rf /var/lib/local_emr/* /node/mnt
# The JVM lives for seconds here: without the second compiler a step takes 7.5 instead of 12.5 s of CPU to start.
case ${VERGER_CLUSTER:-local} in
    local) set -- ;;
    yarn) set -- --yarn /opt/verger/.cache/jars/yarn ;;
    *) echo "local_emr: error: VERGER_CLUSTER is '$VERGER_CLUSTER': choose local or yarn" >&2; exit 2 ;;
esac
exec /opt/verger/.venv/local_emr/bin/python -m local_emr \
    --host 0.0.0.0 --port 5005 --allow-host local-emr \
    --work-dir /var/lib/local_emr/work --node-root /node \
    --spark-python /opt/verger/.venv/spark/bin/python --jars-dir /opt/verger/.cache/jars/s3a \
    --cores "${VERGER_CORES:-2}" --memory-mib 1024 --log-seconds 2 \
    --spark-conf "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC" \
    --s3-endpoint "$AWS_ENDPOINT_URL_S3" --region eu-west-1 "$@"
