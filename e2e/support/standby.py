"""An asynchronous standby of a PostgreSQL server, made by pg_basebackup."""
import os
import pathlib
import subprocess
import tempfile

from e2e.support.system import DatabaseServer


class Standby(DatabaseServer):
    """Follows `primary` until it is promoted."""

    def __init__(self, primary):  # pylint: disable=super-init-not-called  # that one makes a database
        self.engine, self.process = "postgresql", None
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-standby-"))
        self.directory.chmod(0o755)
        newest = max(pathlib.Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name))
        subprocess.run([newest / "bin/pg_basebackup", "-h", primary.directory, "-U", "postgres", "-D", self.directory / "data", "-R",
                        "-X", "stream", "-c", "fast"], check=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:", self.directory], check=True)
        self.start()

    def ask(self, query):
        connection = self.connect(self._url("postgres"))
        try:
            return connection.execute(query).fetchone()[0]
        finally:
            connection.close()

    def cut_off(self):
        """What the primary commits from now on does not come here."""
        connection = self.connect(self._url("postgres"))
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        connection.execute("SELECT pg_reload_conf()")
        connection.close()

    def promote(self):
        assert self.ask("SELECT pg_promote()")


def either(*servers):
    """One URL for whichever of them takes writes."""
    hosts = ",".join(str(server.directory) for server in servers)
    return f"postgresql:///fairlead?user=postgres&host={hosts}&target_session_attrs=read-write"
