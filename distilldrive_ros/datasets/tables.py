"""The JSON tables of a nuScenes-schema root, each read when it is first needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distilldrive_ros.scene.errors import DatasetError

Row = dict[str, Any]


class Tables:
    """`<dataroot>/<version>/*.json` as lists of rows, with indices by token made on first use.

    The tables of the whole of nuScenes are gigabytes: a table that nobody asks for is never opened.
    """

    def __init__(self, dataroot: Path | str, version: str) -> None:
        """Check that the folder is there.

        Raises:
            DatasetError: it is not; the message names the versions that are.
        """
        self.dataroot = Path(dataroot)
        self.version = version
        self.folder = self.dataroot / version
        if not self.dataroot.is_dir():
            raise DatasetError(f"there is no data set at {self.dataroot}; check --dataroot")
        if not self.folder.is_dir():
            found = sorted(p.parent.name for p in self.dataroot.glob("*/scene.json"))
            remedy = f"use --version {found[0]}" if found else "it is not a nuScenes root (<version>/scene.json)"
            raise DatasetError(f"{self.dataroot} has no version {version!r}; {remedy}")
        self._rows: dict[str, list[Row]] = {}
        self._by_token: dict[str, dict[str, Row]] = {}

    def path(self, table: str) -> Path:
        """File of a table."""
        return self.folder / f"{table}.json"

    def rows(self, table: str) -> list[Row]:
        """All rows of a table, in file order.

        Raises:
            DatasetError: the file is missing, is not JSON, or is not a list of rows with tokens.
        """
        if table not in self._rows:
            path = self.path(table)
            try:
                with path.open("rb") as file:
                    rows = json.load(file)
            except FileNotFoundError as error:
                raise DatasetError(f"table {path} is missing; copy the whole {self.version} folder again") from error
            except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
                raise DatasetError(f"table {path} cannot be read: {error}; copy it again") from error
            if not isinstance(rows, list) or not all(isinstance(r, dict) and "token" in r for r in rows):
                raise DatasetError(f"table {path} is not a list of rows with tokens; copy it again")
            self._rows[table] = rows
        return self._rows[table]

    def by_token(self, table: str) -> dict[str, Row]:
        """Rows of a table by token.

        Raises:
            DatasetError: as `rows`, or two rows share a token.
        """
        if table not in self._by_token:
            index: dict[str, Row] = {}
            for row in self.rows(table):
                if row["token"] in index:
                    raise DatasetError(f"table {self.path(table)} holds token {row['token']} twice; copy it again")
                index[row["token"]] = row
            self._by_token[table] = index
        return self._by_token[table]

    def get(self, table: str, token: str, needed_by: str) -> Row:
        """The row of that token.

        Args:
            table: name of the table.
            token: key.
            needed_by: who refers to it, for the error, for instance `sample_data 1f3c`.

        Raises:
            DatasetError: no such row.
        """
        row = self.by_token(table).get(token)
        if row is None:
            raise DatasetError(f"{self.path(table)} has no token {token!r}, which {needed_by} refers to")
        return row

    @contextmanager
    def reading(self, table: str, row: Row) -> Iterator[None]:
        """Turn a missing or ill-typed field of a row into one clear error.

        Raises:
            DatasetError: naming table, token and field.
        """
        try:
            yield
        except (KeyError, TypeError, ValueError, IndexError) as error:
            what = f"no field {error}" if isinstance(error, KeyError) else f"a wrong value: {error}"
            raise DatasetError(f"{self.path(table)}, row {row.get('token')}: {what}; copy the table again") from error
