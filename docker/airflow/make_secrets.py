"""Makes the passwords and keys of an installation of the compose stack: `make_secrets.py FOLDER`.

Each is a file in `FOLDER/airflow/`, `FOLDER/database/` or `FOLDER/s3/`, readable by its owner alone; PostgreSQL's
password by PostgreSQL as well, which is another user in a container of its own. Those that are there stay, so a start
that was interrupted goes on where it was. Nothing is printed but file names.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path

USER = "verger"


def make_secrets(folder: Path) -> list[Path]:
    """Makes what is missing; returns the files that were made."""
    airflow, database, s3 = folder / "airflow", folder / "database", folder / "s3"
    made = [
        # Fernet's keys are 32 bytes in URL-safe base64; Airflow signs its tokens with HS512, so 64 bytes.
        _once(airflow / "fernet_key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
        _once(airflow / "jwt_secret", secrets.token_urlsafe(64)),
        _once(airflow / "api_secret_key", secrets.token_urlsafe(48)),
        _once(airflow / "passwords.json", json.dumps({USER: secrets.token_urlsafe(15)})),
        _once(database / "password", secrets.token_urlsafe(24), mode=0o644),
        _once(s3 / "access_key", f"verger{secrets.token_hex(7)}"),
        _once(s3 / "secret_key", secrets.token_urlsafe(30)),
    ]
    password = (database / "password").read_text("ascii")
    keys = {name: (s3 / name).read_text("ascii") for name in ("access_key", "secret_key")}
    made += [
        _once(database / "connection", f"postgresql+psycopg2://airflow:{password}@postgres/airflow"),
        _once(
            s3 / "credentials",
            f"[default]\naws_access_key_id = {keys['access_key']}\naws_secret_access_key = {keys['secret_key']}\n",
        ),
    ]
    return [path for path in made if path is not None]


def _once(path: Path, text: str, mode: int = 0o600) -> Path | None:
    """Writes a file that is not there yet, as a whole or not at all."""
    if path.exists():
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    half_written = path.with_name(f".{path.name}")
    half_written.unlink(missing_ok=True)
    with os.fdopen(os.open(half_written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    half_written.replace(path)
    return path


if __name__ == "__main__":
    for new in make_secrets(Path(sys.argv[1])):
        print(f"made {new}")
