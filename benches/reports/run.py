#!/usr/bin/env python3
"""How fast derived tables and reports are, beside DuckDB over the same Parquet files.

run.py FOLDER [--messages N] [--employees N] [--days N] [--runs N] [--bin FOLDER] [--steps A,B,..]

Makes a company of a year in FOLDER (once), imports it with the release binary, and times whole
processes: deriving all tables from nothing, the step after one more day was imported, a month's
report per employee (the first month and the last), a year's report of the company by month; the
month of a running server; then the same of DuckDB, with the SQL beside this file. The two must count the same dialogues, replies and
timers, else it fails. Needs Linux, `pip install duckdb`, and

    cargo build --release -p huicun-cli -p huicun-benches --bins

Every number is one process: wall seconds, CPU seconds (user and system), peak resident MiB. Files
are in the page cache, as after a first run. `--steps` runs some steps only, of: rebuild, reports,
served, duckdb, increment. The increment leaves its day in the archive, so it comes last; delete `data` and
`imported` to begin anew.
"""

import argparse
import datetime
import json
import pathlib
import shutil
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from measured import Run, Server  # noqa: E402

ALL_STEPS = ["rebuild", "reports", "served", "duckdb", "increment"]
FIRST_DAY = datetime.date(2025, 1, 1)


def say(what, runs, n_rows=None):
    wall = [run.wall for run in runs]
    middle = statistics.median(wall)
    rate = f"{n_rows / middle:,.0f}" if n_rows else ""
    print(f"| {what} | {min(wall):.2f} / {middle:.2f} / {max(wall):.2f} "
          f"| {statistics.median(run.cpu for run in runs):.2f} "
          f"| {max(run.mib for run in runs):.0f} | {rate} |", flush=True)


def head():
    print("\n| | wall seconds (min / median / max) | CPU seconds | peak MiB | messages a second |")
    print("|---|---|---|---|---|", flush=True)


class Bench:
    def __init__(self, folder, options):
        self.folder, self.options = folder, options
        self.bin = pathlib.Path(options.bin)
        self.company, self.data = folder / "company", folder / "data"
        self.out = folder / "duckdb"
        self.n_days = options.days

    def huicun(self, *arguments):
        return Run([self.bin / "huicun", "--data", self.data, *arguments])

    def duck(self, *arguments):
        return Run([sys.executable, HERE / "duck.py", *arguments])

    def repeated(self, run):
        return [run() for _ in range(self.options.runs)]

    def month(self, back=0):
        """The first month, or the last one that ends within the days."""
        if not back:
            return FIRST_DAY, FIRST_DAY + datetime.timedelta(days=min(30, self.n_days - 1))
        last = FIRST_DAY + datetime.timedelta(days=self.n_days - 1)
        return last - datetime.timedelta(days=min(30, self.n_days - 1)), last

    def year(self):
        return FIRST_DAY, FIRST_DAY + datetime.timedelta(days=min(365, self.n_days) - 1)

    def next_day(self):
        return FIRST_DAY + datetime.timedelta(days=self.n_days)

    def make(self):
        made = self.company / "made.json"
        if not made.exists():
            self.company.mkdir(parents=True, exist_ok=True)
            run = Run([self.bin / "year-company", self.company, self.options.messages,
                       self.options.employees, self.n_days])
            print(f"company made in {run.wall:.0f} s: {run.out.strip()}")
        self.made = json.loads(made.read_text())
        if (self.folder / "imported").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)
        Run([self.bin / "huicun", "--data", self.data, "rules", "apply", HERE / "rules.toml"])
        self.huicun("import", "directory", self.company / "directory")
        run = self.huicun("import", "messages", "--source", "bench", self.company / "messages.ndjson")
        print(f"imported {self.made['messages']:,} messages in {run.wall:.0f} s "
              f"({self.made['messages'] / run.wall:,.0f} a second), peak {run.mib:.0f} MiB")
        (self.folder / "imported").touch()

    def report(self, report, first, last, *more):
        return self.huicun("report", report, "--from", first, "--to", last, "--format", "json", *more)

    def small(self, day):
        """The smallest question that brings the tables forward."""
        return self.report("employees", day, day, "--metrics", "dialogues")

    def rebuild(self):
        def run():
            shutil.rmtree(self.data / "derived", ignore_errors=True)
            return self.small(FIRST_DAY)

        say("huicun: all derived tables from nothing", self.repeated(run), self.made["messages"])
        say("huicun: the same question again", self.repeated(lambda: self.small(FIRST_DAY)))

    def reports(self):
        for what, (first, last) in [("first", self.month()), ("last", self.month(1))]:
            say(f"huicun: report employees of the {what} month, all metrics",
                self.repeated(lambda: self.report("employees", first, last)))
        for report in ["departments", "customers"]:
            say(f"huicun: report {report} of a year by month, all metrics",
                self.repeated(lambda: self.report(report, *self.year(), "--by", "month")))

    def served(self):
        """The same of a running server, which has asked itself once before."""
        server = Server(self.bin / "huicun", self.data)
        connection, n = server.connect(), 20
        print("\n| a running server, asked " + str(n) + " times | seconds (min / median / max) |\n|---|---|")
        months = [("first", self.month()), ("last", self.month(1))]
        for what, path in [
            *((f"report employees of the {what} month, all metrics", f"employees?from={first}&to={last}")
              for what, (first, last) in months),
            *(("the same, three metrics", f"employees?from={first}&to={last}&metrics=dialogues,reply_rate,reply_avg")
              for _, (first, last) in months[:1]),
            *((f"report departments of the {what} month, all metrics", f"departments?from={first}&to={last}")
              for what, (first, last) in months[:1]),
        ]:
            path = f"/v1/reports/{path}"
            server.get(connection, path)
            seconds = sorted(server.get(connection, path)[0] for _ in range(n))
            print(f"| {what} | {seconds[0]:.3f} / {statistics.median(seconds):.3f} / {seconds[-1]:.3f} |", flush=True)
        own, all_of_it = server.memory()
        print(f"\nmemory of the server: {own:.0f} MiB, {all_of_it:.0f} MiB with mapped files")
        server.stop()
        head()

    def duckdb(self):
        say("DuckDB: dialogues, replies, activity, calls, timers of all messages",
            self.repeated(lambda: self.duck("rebuild", self.data, self.out)), self.made["messages"])
        told = []
        for what, (first, last) in [("first", self.month()), ("last", self.month(1))]:
            runs = self.repeated(lambda: self.duck("month", self.data, first, last))
            say(f"DuckDB: figures per employee of the {what} month, from messages", runs)
            told.append((first, last, json.loads(runs[0].out)))
        say("DuckDB: figures per employee of the first month, from its tables",
            self.repeated(lambda: self.duck("month-derived", self.out, *self.month())))
        say("DuckDB: figures of the company by month, from messages",
            [self.duck("year", self.data, *self.year())])
        say("DuckDB: figures of the company by month, from its tables",
            self.repeated(lambda: self.duck("year-derived", self.out, *self.year())))
        self.compare(told)

    def compare(self, told):
        """Both must have counted the same."""
        theirs = json.loads(self.duck("counts", self.out).out)
        ours = {}
        for sql in [
            "SELECT count(*) AS dialogues, sum(employee_messages) AS employee_messages,"
            " sum(customer_messages) AS customer_messages, sum(first_reply_ms) AS first_reply_ms FROM dialogues",
            "SELECT count(*) AS replies, sum(reply_ms) AS reply_ms FROM replies",
            "SELECT count(*) AS timers FROM timers",
            "SELECT count(*) AS waiting FROM waiting",
        ]:
            ours |= json.loads(self.huicun("sql", sql, "--format", "ndjson").out)
        differ = {key: (ours[key], theirs[key]) for key in theirs if ours[key] != theirs[key]}
        for first, last, figures in told:
            keys = [key for key in figures if key != "rows"]
            answer = self.report("employees", first, last, "--metrics", ",".join(keys))
            rows = json.loads(answer.out)
            for key in keys:
                column = f"{key}_seconds" if key.endswith("_total") else key
                total = sum(float(row[column] or 0) for row in rows)
                # Seconds are added up from rounded ones.
                if abs(total - figures[key]) > 1:
                    differ[f"{key} {first}"] = total, figures[key]
        print(f"\ncounted by both: {json.dumps(theirs)}; "
              f"first month: {json.dumps(told[0][2])}")
        if differ:
            sys.exit(f"huicun and DuckDB differ: {differ}")

    def increment(self):
        kept = self.folder / "derived-before"
        if not (self.folder / "next-day-imported").exists():
            self.small(FIRST_DAY)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(self.data / "derived", kept)
            run = self.huicun("import", "messages", "--source", "bench", self.company / "next-day.ndjson")
            say("huicun: import of one more day", [run], self.made["next_day"])
            (self.folder / "next-day-imported").touch()

        def run():
            shutil.rmtree(self.data / "derived", ignore_errors=True)
            shutil.copytree(kept, self.data / "derived")
            return self.small(self.next_day())

        say("huicun: the tables brought forward by that day", self.repeated(run), self.made["next_day"])
        say("huicun: the same question again", self.repeated(lambda: self.small(self.next_day())))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--employees", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--steps", default=",".join(ALL_STEPS))
    options = parser.parse_args()
    bench = Bench(options.folder.resolve(), options)
    bench.make()
    head()
    for step in options.steps.split(","):
        if step not in ALL_STEPS:
            sys.exit(f"there is no step `{step}`")
        getattr(bench, step)()


if __name__ == "__main__":
    main()
