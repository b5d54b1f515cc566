-- What derived tables hold, from all messages: dialogues, replies, activity, calls, timers. Less
-- than huicun derives: no timeouts (they need working calendars), no days of internal chats, no
-- state from which a step could go on, rows in no order, one file a table.
CREATE TEMP TABLE marked_all AS SELECT * FROM marked;

COPY (SELECT * FROM dialogues_of('marked_all')) TO '{out}/dialogues.parquet' (COMPRESSION zstd);

COPY (SELECT conversation, kind, dialogue, speaker AS employee, turn_ms AS turn_at, at_ms AS reply_at,
             at_ms - turn_ms AS reply_ms
      FROM marked_all WHERE is_reply) TO '{out}/replies.parquet' (COMPRESSION zstd);

COPY (SELECT (make_timestamp(at_ms * 1000) AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Shanghai')::DATE AS day,
             conversation, any_value(kind) AS kind, any_value(employee) AS employee, speaker,
             any_value(side) AS side, count(*) AS messages, min(at_ms) AS first_ms, max(at_ms) AS last_ms
      FROM marked_all GROUP BY day, conversation, speaker)
    TO '{out}/activity.parquet' (COMPRESSION zstd);

COPY (SELECT conversation, kind, employee, customer, msgid, at_ms, speaker, call_ms
      FROM marked_all WHERE call_ms IS NOT NULL) TO '{out}/calls.parquet' (COMPRESSION zstd);

-- A customer waits until any employee writes, or he himself asks again.
COPY (
    WITH next AS (
        SELECT conversation, kind, employee, speaker AS customer, msgid, side, closes, at_ms,
               first_value(CASE WHEN side = 'employee' THEN at_ms END IGNORE NULLS) OVER (
                   PARTITION BY conversation ORDER BY at_ms, seq, msgid
                   ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS answered_ms,
               seq
        FROM marked_all
    )
    SELECT conversation, kind, employee, customer, msgid, at_ms AS started_ms, answered_ms,
           least(answered_ms, lead(at_ms) OVER (
               PARTITION BY conversation, customer ORDER BY at_ms, seq, msgid)) AS ended_ms
    FROM next WHERE side = 'customer' AND NOT closes
) TO '{out}/timers.parquet' (COMPRESSION zstd);
