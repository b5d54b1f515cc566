#!/usr/bin/env python3
"""How fast the index is built and asked, beside SQLite FTS5 and a scan of the same messages.

run.py FOLDER [--bin FOLDER] [--questions N] [--clients N] [--fts5-messages N] [--steps A,B,..]

FOLDER is what `benches/reports/run.py FOLDER` made: a company, imported. Needs Linux and
`pip install duckdb`. The steps:

reindex  `huicun reindex`, a whole process: messages a second, and the index's bytes per message
search   questions to a running server over one kept connection: first pages of 20, the total among them
hostile  questions that are made to hurt, each 20 times: all are refused with a 400
many     the same from 32 connections at once; the clients, which are one Python process, take their
         share of the same two cores
scan     DuckDB over the archive's Parquet files: the newest 20 that contain a literal, and how many
         there are; every total that it tells must be the one that huicun told
fts5     SQLite's FTS5 with its trigram tokenizer over the same texts: building it, and the same
         questions, of those literals that it can find (three characters or more). Building takes
         long; `--fts5-messages` takes the first so many only, and says so

Literals are cut out of texts drawn at random, and are sorted by how often they occur; no question is
asked twice in a measured pass. Seeds are fixed, so two runs over one folder ask the same.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import sqlite3
import statistics
import sys
import threading
import time
import urllib.parse

import duckdb

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from measured import Run, Server  # noqa: E402

ALL_STEPS = ["reindex", "search", "hostile", "many", "scan", "fts5"]
PAGE = 20
RARE_AT_MOST, COMMON_AT_LEAST = 1_000, 100_000
# What normalising leaves as it is, so that a plain scan finds the same.
PLAIN = re.compile(r"[一-鿿0-9a-z]+")


def ask(server, connection, question):
    """Seconds and total."""
    path = "/v1/search?" + urllib.parse.urlencode({**question, "limit": PAGE})
    seconds, answer = server.get(connection, path)
    return seconds, answer["total"]


def percentile(seconds, share):
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def row(what, seconds, more=""):
    ms = [1000 * percentile(seconds, share) for share in (0.5, 0.99, 1)]
    print(f"| {what} | {len(seconds)} | {ms[0]:.2f} | {ms[1]:.2f} | {ms[2]:.2f} | {more} |", flush=True)


def head():
    print("\n| | questions | p50 ms | p99 ms | longest ms | |\n|---|---|---|---|---|---|", flush=True)


class Bench:
    def __init__(self, folder, options):
        self.options, self.data, self.out = options, folder / "data", folder / "search"
        self.huicun = pathlib.Path(options.bin) / "huicun"
        self.out.mkdir(exist_ok=True)
        self.dice = random.Random(7)
        self.db = duckdb.connect()
        self.db.execute(f"""CREATE VIEW messages AS SELECT seq, msgtime, text
            FROM read_parquet('{self.data}/tables/messages/day=*/*.parquet', hive_partitioning = true)
            WHERE status = 'ok'""")
        self.n_messages = self.db.execute("SELECT count(*) FROM messages").fetchone()[0]
        self.kinds = None

    # What is asked.

    def literals(self, texts, lengths, n):
        """Different pieces of texts."""
        found = dict()
        while len(found) < n:
            piece = self.dice.choice(PLAIN.findall(self.dice.choice(texts)) or [""])
            length = self.dice.choice(lengths)
            if len(piece) >= length:
                at = self.dice.randrange(len(piece) - length + 1)
                found[piece[at:at + length]] = None
        return list(found)

    def questions(self, server):
        """Of each kind, questions with the total that huicun tells; asked once before they are measured."""
        if self.kinds:
            return self.kinds
        sample = self.db.execute("SELECT text FROM messages WHERE text <> '' USING SAMPLE reservoir(20000 ROWS) REPEATABLE (7)")
        texts = sorted(text for text, in sample.fetchall())
        connection, n = server.connect(), self.options.questions
        kinds = collections.defaultdict(dict)

        def add(kind, question, total):
            if len(kinds[kind]) < n:
                kinds[kind][json.dumps(question, ensure_ascii=False)] = total

        # Latin letters and digits are one character too; there are not so many different ones.
        for literal in self.literals(texts, [1], min(n, 300)):
            add("one character", {"q": literal}, ask(server, connection, {"q": literal})[1])
        common = []
        for literal in self.literals(texts, [2, 2, 3, 3, 4, 5, 6, 8], 8 * n):
            total = ask(server, connection, {"q": literal})[1]
            if total <= RARE_AT_MOST:
                add("rare: 1,000 at most", {"q": literal}, total)
            elif total >= COMMON_AT_LEAST:
                common.append(literal)
                add("common: 100,000 or more", {"q": literal}, total)
            else:
                add("between", {"q": literal}, total)
        rows = self.db.execute(f"""SELECT userid FROM read_parquet('{self.data}/tables/employees/*.parquet')
            ORDER BY userid""").fetchall()
        employees = [userid for userid, in rows]
        for _ in range(n):
            two = " ".join(self.dice.sample(common, 2))
            month = self.dice.randrange(1, 13)
            days = {"from": f"2025-{month:02}-01", "to": f"2025-{month:02}-28"}
            for kind, question in [
                ("two common ones", {"q": two}),
                ("two, by relevance", {"q": two, "order": "relevance"}),
                ("common or common, not common", {"q": "{} OR {} -{}".format(*self.dice.sample(common, 3))}),
                ("common, of an employee", {"q": self.dice.choice(common), "employee": self.dice.choice(employees)}),
                ("common, in a month", {"q": self.dice.choice(common), **days}),
                ("no literal, of an employee in a month", {"employee": self.dice.choice(employees), **days}),
            ]:
                add(kind, question, ask(server, connection, question)[1])
        self.kinds = {kind: [(json.loads(q), total) for q, total in asked.items()] for kind, asked in kinds.items()}
        return self.kinds

    # The steps.

    def reindex(self):
        run = Run([self.huicun, "--data", self.data, "reindex"])
        files = (self.data / "index").rglob("*")
        size = sum(file.stat().st_size for file in files if file.is_file())
        print(f"\nhuicun reindex: {run.wall:.1f} s, {run.cpu:.1f} CPU-s, peak {run.mib:.0f} MiB: "
              f"{self.n_messages / run.wall:,.0f} messages a second; "
              f"{size / self.n_messages:.1f} bytes per message ({size / 1e6:,.0f} MB)", flush=True)

    def search(self):
        server = Server(self.huicun, self.data)
        kinds = self.questions(server)
        connection = server.connect()
        print("\nhuicun, one client")
        head()
        everything = []
        for kind, questions in kinds.items():
            seconds = []
            for question, total in questions:
                took, told = ask(server, connection, question)
                assert told == total, question
                seconds.append(took)
            totals = sorted(total for _, total in questions)
            row(kind, seconds, f"{statistics.median(totals):,.0f} matches (median), {totals[-1]:,} at most")
            everything += seconds
        own, all_of_it = server.memory()
        row("all", everything, f"memory {own:.0f} MiB, {all_of_it:.0f} MiB with mapped files")
        server.stop()

    def hostile(self):
        server = Server(self.huicun, self.data)
        print("\nhuicun, questions that are made to hurt")
        head()
        for what, query, sql in [
            ("search: 20,000 parentheses", "(" * 20_000, None),
            ("search: 1,500 OR in 4 KiB and more", "a" + " OR a" * 1_500, None),
            ("SQL: 20,000 parentheses", None, "SELECT " + "(" * 20_000),
            ("SQL: 7,000 pairs of them", None, "SELECT " + "(" * 7_000 + "1" + ")" * 7_000),
            ("SQL: 10,000 +", None, "SELECT 1" + "+1" * 10_000),
            ("SQL: 7,000 +", None, "SELECT 1" + "+1" * 7_000),
            ("SQL: 20,000 OR", None, "SELECT 1 WHERE 1=1" + " OR 1=1" * 20_000),
            ("SQL: 2,000 OR", None, "SELECT 1 WHERE 1=1" + " OR 1=1" * 2_000),
        ]:
            connection, seconds = server.connect(), []
            for _ in range(20):
                if sql:
                    took, status, _ = server.send(connection, "POST", "/v1/sql", json.dumps({"sql": sql}))
                else:
                    took, status, _ = server.send(connection, "GET", "/v1/search?" + urllib.parse.urlencode({"q": query}))
                seconds.append(took)
            row(what, seconds, f"answer {status}")
        server.stop()

    def many(self):
        server = Server(self.huicun, self.data)
        kinds, n = self.questions(server), self.options.clients
        print(f"\nhuicun, {n} clients")
        head()
        for kind, questions in kinds.items():
            left, seconds = iter(questions * max(1, 4 * n // len(questions))), []
            lock = threading.Lock()

            def client():
                connection = server.connect()
                while True:
                    with lock:
                        question = next(left, None)
                    if question is None:
                        return
                    seconds.append(ask(server, connection, question[0])[0])

            threads = [threading.Thread(target=client) for _ in range(n)]
            began = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            row(kind, seconds, f"{len(seconds) / (time.perf_counter() - began):,.0f} answers a second")
        own, all_of_it = server.memory()
        print(f"\nmemory {own:.0f} MiB, {all_of_it:.0f} MiB with mapped files")
        server.stop()

    def by_literal(self):
        """The kinds that a scan and FTS5 are asked."""
        if not self.kinds:
            server = Server(self.huicun, self.data)
            self.questions(server)
            server.stop()
        for kind in ["one character", "rare: 1,000 at most", "between", "common: 100,000 or more"]:
            yield kind, [(question["q"], total) for question, total in self.kinds[kind]]

    def scan(self):
        print("\nDuckDB, a scan of the Parquet files")
        head()
        for kind, questions in self.by_literal():
            seconds = []
            for literal, total in questions[:10]:
                began = time.perf_counter()
                newest = self.db.execute(
                    "SELECT seq, count(*) OVER () FROM messages WHERE contains(text, ?) ORDER BY msgtime DESC, seq DESC LIMIT ?",
                    [literal, PAGE]).fetchall()
                seconds.append(time.perf_counter() - began)
                told = newest[0][1] if newest else 0
                assert told == total, f"{literal}: a scan finds {told}, huicun {total}"
            row(kind, seconds, "every total as huicun's")

    def fts5(self):
        n_messages = min(self.options.fts5_messages or self.n_messages, self.n_messages)
        path = self.out / f"fts5-{n_messages}.sqlite"
        if not path.exists():
            began = time.perf_counter()
            db = sqlite3.connect(self.out / "building.sqlite")
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("CREATE TABLE newest (id INTEGER PRIMARY KEY, seq INTEGER)")
            db.execute("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'trigram', content = '')")
            # In the order of time, so that the newest are the last rows and need no sorting.
            rows = self.db.execute(f"SELECT seq, text FROM messages ORDER BY msgtime, seq LIMIT {n_messages}")
            at = 0
            while batch := rows.fetchmany(100_000):
                db.executemany("INSERT INTO newest VALUES (?, ?)", ((at + i, seq) for i, (seq, _) in enumerate(batch)))
                db.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", ((at + i, text) for i, (_, text) in enumerate(batch)))
                at += len(batch)
            db.commit()
            db.close()
            os.rename(self.out / "building.sqlite", path)
            took, size = time.perf_counter() - began, path.stat().st_size
            print(f"\nSQLite FTS5 of {n_messages:,} messages: built in {took:.0f} s, {n_messages / took:,.0f} a second; "
                  f"{size / n_messages:.1f} bytes per message ({size / 1e6:,.0f} MB)")
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        print(f"\nSQLite FTS5 (trigram) of {n_messages:,} messages, one client, within its process")
        head()
        for kind, questions in self.by_literal():
            fit = [(literal, total) for literal, total in questions if len(literal) >= 3][:50]
            if not fit:
                print(f"| {kind} | 0 | cannot be asked: fewer than three characters | | | |")
                continue
            seconds, differ = [], 0
            for literal, total in fit:
                began = time.perf_counter()
                phrase = f'"{literal}"'
                db.execute("SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid DESC LIMIT ?", (phrase, PAGE)).fetchall()
                told = db.execute("SELECT count(*) FROM texts WHERE texts MATCH ?", (phrase,)).fetchone()[0]
                seconds.append(time.perf_counter() - began)
                differ += told != total
            compared = f"; {differ} totals differ" if n_messages == self.n_messages else ""
            row(kind, seconds, f"of {len(questions)} questions {len(questions) - sum(len(q) >= 3 for q, _ in questions)} "
                               f"are too short for it{compared}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--fts5-messages", type=int, default=0)
    parser.add_argument("--steps", default=",".join(ALL_STEPS))
    options = parser.parse_args()
    bench = Bench(options.folder.resolve(), options)
    print(f"{bench.n_messages:,} messages")
    for step in options.steps.split(","):
        if step not in ALL_STEPS:
            sys.exit(f"there is no step `{step}`")
        getattr(bench, step)()


if __name__ == "__main__":
    main()
