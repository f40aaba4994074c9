"""What a browser may do with a file of the results: headers of every answer."""

from enum import Enum

#: Nothing comes from or goes to another host, and nothing that stands inside a page is run.
_ALWAYS = {
    "default-src": "'none'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "base-uri": "'none'",
    "form-action": "'none'",
    # The tab is a frame of Airflow's own page.
    "frame-ancestors": "'self'",
}


class Origin(Enum):
    """Where the content of an answer comes from, and what that adds to the rules."""

    #: The explorer's page as it is installed: it runs its script, which reads the run's data.
    EXPLORER = ("script-src 'self'", "worker-src 'self'", "connect-src 'self'")
    #: Another page that is installed here: a notice, or the frame around a page of the bucket.
    INSTALLED = ("frame-src 'self'",)
    #: The bucket: whoever may write to it. An origin of its own; no scripts, forms, refresh or windows (HTML, 7.1.5).
    BUCKET = ("sandbox",)


def browser_rules(origin: Origin) -> dict[str, str]:
    """The headers of an answer."""
    rules = [*(f"{rule} {sources}" for rule, sources in _ALWAYS.items()), *origin.value]
    return {
        "Content-Security-Policy": "; ".join(rules),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Kept by the browser alone, and asked for again each time: a run may be published again, a login may end.
        "Cache-Control": "private, no-cache",
    }
