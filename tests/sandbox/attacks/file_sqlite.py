"""Has SQLite's C code write a database."""

# ends: exception
# escapes without: all

import sqlite3

from inalpha import Bar, Strategy


class Attack(Strategy):
    canary_dir: str = ""

    def on_bar(self, bar: Bar) -> None:
        if bar.sequence:
            return
        link = sqlite3.connect(f"{self.canary_dir}/out/left.db")
        link.execute("CREATE TABLE t (x)")
        link.commit()
