#!/usr/bin/env python3
"""One question, asked of DuckDB over the archive's own Parquet files, as a process of its own.

duck.py rebuild DATA OUT                   derive everything from all messages into OUT
duck.py month DATA FROM TO       figures per employee of some days, from messages
duck.py year DATA FROM TO                  figures of the company by month, from messages
duck.py month-derived OUT FROM TO          the first from what `rebuild` wrote
duck.py year-derived OUT FROM TO           the second from what `rebuild` wrote
duck.py counts OUT                         what was derived, to be compared

Prints one line of JSON: rows, and the sums by which answers are compared.
"""

import datetime
import json
import pathlib
import sys

import duckdb

HERE = pathlib.Path(__file__).parent


def day_start_ms(day):
    """00:00 in Asia/Shanghai, which has had no daylight saving since 1991."""
    return int((datetime.datetime.combine(day, datetime.time(), datetime.timezone.utc)
                - datetime.timedelta(hours=8)).timestamp() * 1000)


def run_file(db, name, **places):
    text = (HERE / name).read_text()
    for place, value in places.items():
        text = text.replace("{" + place + "}", str(value))
    db.execute(text)


def open_messages(db, data, days=None):
    """The views that the SQL is written over; of some days and a margin only, where given."""
    where = ""
    if days:
        # What begins in the days may go on after them, and what came before tells what begins.
        first, last = days[0] - datetime.timedelta(days=1), days[1] + datetime.timedelta(days=2)
        where = f"AND day BETWEEN DATE '{first}' AND DATE '{last}'"
    db.execute(f"""CREATE TEMP VIEW messages AS
        SELECT seq, msgid, action, msgtype, msgtime, from_id, to_ids, room_id, text, call_ms
        FROM read_parquet('{data}/tables/messages/day=*/*.parquet', hive_partitioning = true)
        WHERE status = 'ok' {where}""")
    for table in ["employees", "customers", "group_members"]:
        files = list(pathlib.Path(data, "tables", table).glob("*.parquet"))
        assert len(files) == 1, f"`{table}` was written more than once"
        db.execute(f"CREATE TEMP VIEW {table} AS SELECT * FROM read_parquet('{files[0]}')")
    run_file(db, "entries.sql")


ACTIVITY = """SELECT conversation, any_value(kind) AS kind, any_value(employee) AS employee, speaker,
    any_value(side) AS side, count(*) AS messages, min(at_ms) AS first_ms
    FROM marked_all GROUP BY (at_ms + 28800000) // 86400000, conversation, speaker"""


def figures(db, kind, first, last):
    month = "strftime(make_timestamp(({} + 28800000) * 1000), '%Y-%m')"
    is_year = kind.startswith("year")
    run_file(db, "figures.sql",
             slice_of_dialogue=month.format("started_ms") if is_year else "''",
             slice_of_activity=month.format("first_ms") if is_year else "''",
             unit="''" if is_year else "employee",
             unit_of_activity="''" if is_year else "speaker",
             from_ms=day_start_ms(first),
             to_ms=day_start_ms(last + datetime.timedelta(days=1)),
             **{"from": first, "to": last})
    rows = db.execute("SELECT * FROM figures_of('the_dialogues', 'the_activity')").fetchall()
    names = [column[0] for column in db.description]
    told = {name: round(sum(float(row[at] or 0) for row in rows))
            for at, name in enumerate(names)
            if name in ("dialogues", "dialogues_opened", "dialogues_replied", "messages_sent",
                        "reply_time_total", "dialogue_time_total")}
    return {"rows": len(rows)} | told


def counts(db, out):
    one = lambda sql: db.execute(sql.replace("@", f"'{out}/")).fetchone()
    dialogues = one("SELECT count(*), sum(employee_messages), sum(customer_messages),"
                    " sum(first_reply_ms) FROM @dialogues.parquet'")
    replies = one("SELECT count(*), sum(reply_ms) FROM @replies.parquet'")
    timers = one("SELECT count(*), count(ended_ms) FROM @timers.parquet'")
    return {"dialogues": dialogues[0], "employee_messages": int(dialogues[1]),
            "customer_messages": int(dialogues[2]), "first_reply_ms": int(dialogues[3]),
            "replies": replies[0], "reply_ms": int(replies[1]),
            "timers": timers[1], "waiting": timers[0] - timers[1]}


def main():
    kind, place, *rest = sys.argv[1:]
    db = duckdb.connect()
    day = datetime.date.fromisoformat
    if kind == "rebuild":
        out = pathlib.Path(rest[0])
        out.mkdir(parents=True, exist_ok=True)
        open_messages(db, place)
        run_file(db, "rebuild.sql", out=out)
        answer = {"messages": db.execute("SELECT count(*) FROM messages").fetchone()[0]}
    elif kind in ("month", "year"):
        days = day(rest[0]), day(rest[1])
        open_messages(db, place, days)
        db.execute("CREATE TEMP TABLE marked_all AS SELECT * FROM marked")
        db.execute("CREATE TEMP VIEW the_dialogues AS SELECT * FROM dialogues_of('marked_all')")
        db.execute(f"CREATE TEMP VIEW the_activity AS {ACTIVITY}")
        answer = figures(db, kind, *days)
    elif kind in ("month-derived", "year-derived"):
        for name in ["dialogues", "activity"]:
            db.execute(f"CREATE TEMP VIEW the_{name} AS SELECT * FROM read_parquet('{place}/{name}.parquet')")
        answer = figures(db, kind, day(rest[0]), day(rest[1]))
    elif kind == "counts":
        answer = counts(db, place)
    else:
        sys.exit(__doc__)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
