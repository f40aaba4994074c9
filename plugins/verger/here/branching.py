"""The operator of a task that does something and then says which task goes on."""

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.branch import BranchMixIn
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk.bases.xcom import BaseXCom

if TYPE_CHECKING:
    from airflow.sdk import Context

#: In what the function returns: the id of the task that goes on.
NEXT = "next"


class BranchingOperator(PythonOperator, BranchMixIn):
    """Calls a function that returns a dict, hands that on, and skips what comes after it but for the task of NEXT."""

    inherits_from_skipmixin = True

    def execute(self, context: "Context") -> dict[str, Any]:
        """What the function returned."""
        found: dict[str, Any] = super().execute(context)
        # Airflow leaves the task by an exception when it skips others, and hands nothing on then.
        context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=found)
        self.do_branch(context, found[NEXT])
        return found
