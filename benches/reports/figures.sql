-- Figures of each employee's single chats in {from}..{to}, of a table of dialogues and one of
-- activity: those of `report employees` that need no directory.
CREATE OR REPLACE TEMP MACRO figures_of(dialogues_in, activity_in) AS TABLE
    WITH slices AS (
        SELECT *, {slice_of_dialogue} AS slice,
               opened_by = 'employee' OR employee_messages > 0 AS takes_part
        FROM query_table(dialogues_in)
        WHERE kind = 'single_external' AND started_ms >= {from_ms} AND started_ms < {to_ms}
    ), of_dialogues AS (
        SELECT {unit} AS unit, slice,
               count(*) FILTER (takes_part) AS dialogues,
               count(*) FILTER (opened_by = 'employee') AS dialogues_opened,
               count(*) FILTER (opened_by = 'customer' AND employee_messages > 0) AS dialogues_replied,
               count(*) FILTER (opened_by = 'customer' AND employee_messages = 0) AS unanswered,
               sum(reply_ms) FILTER (takes_part) / 1000 AS reply_time_total,
               sum(ended_ms - started_ms) FILTER (takes_part) / 1000 AS dialogue_time_total,
               avg(first_reply_ms) FILTER (opened_by = 'customer' AND employee_messages > 0) / 1000 AS first_reply_avg,
               quantile_disc(first_reply_ms, 0.9)
                   FILTER (opened_by = 'customer' AND employee_messages > 0) / 1000 AS first_reply_p90,
               count(*) FILTER (takes_part AND employee_messages > 0 AND customer_messages > 0
                                AND first_reply_ms <= 60000) AS first_reply_1m,
               sum(employee_messages + customer_messages) FILTER (takes_part) AS messages_both
        FROM slices GROUP BY unit, slice
    ), of_activity AS (
        SELECT {unit_of_activity} AS unit, {slice_of_activity} AS slice, sum(messages) AS messages_sent
        FROM query_table(activity_in)
        WHERE kind = 'single_external' AND side = 'employee'
          AND first_ms >= {from_ms} AND first_ms < {to_ms}
        GROUP BY unit, slice
    )
    SELECT * FROM of_dialogues FULL JOIN of_activity USING (unit, slice) ORDER BY unit, slice;
