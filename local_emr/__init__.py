"""An EMR and S3 endpoint for one machine that really runs bootstrap actions and steps, as processes.

`python -m local_emr` serves it; `with running(settings) as endpoint:` does the same from a program (the standard
library is enough for that, so any environment can import this package). `local_emr.server.serving` serves it inside
the calling process.
"""

from local_emr.launch import running
from local_emr.settings import LocalEmrSettings, spark_home_of

__all__ = ["LocalEmrSettings", "running", "spark_home_of"]
