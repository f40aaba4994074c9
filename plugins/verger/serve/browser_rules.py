"""What a browser may do with a file of the results: headers of every answer."""

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
_WITH_SCRIPTS = {"script-src": "'self'", "worker-src": "'self'", "connect-src": "'self'"}


def browser_rules(*, scripts: bool = False) -> dict[str, str]:
    """The headers of an answer; `scripts` is for the installed page alone, never for what lies in a bucket."""
    rules = {**_ALWAYS, **(_WITH_SCRIPTS if scripts else {})}
    return {
        "Content-Security-Policy": "; ".join(f"{rule} {sources}" for rule, sources in rules.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Kept by the browser alone, and asked for again each time: a run may be published again, a login may end.
        "Cache-Control": "private, no-cache",
    }
