-- Counted messages of conversations with customers, one row a conversation, as semantics.md says:
-- roles from the directory, pairs and rooms, closing phrases. The view `messages` is what the
-- archive's own Parquet files hold, of the days that are asked for.
CREATE OR REPLACE TEMP MACRO role_of(id, is_employee, is_customer) AS
    CASE WHEN is_employee THEN 'employee'
         WHEN is_customer OR id[1:2] IN ('wm', 'wo') THEN 'customer'
         WHEN id[1:2] = 'wb' THEN 'robot'
         ELSE 'employee' END;

-- Both ends bared of blanks, punctuation, symbols and `[微笑]`, then compared. Most texts hold no
-- phrase at all, which is asked first.
CREATE OR REPLACE TEMP MACRO is_closing(message) AS
    (contains(message, '谢谢') OR contains(message, '再见'))
    AND regexp_replace(
            regexp_replace(lower(message), '^([\s\pZ\pP\pS\pC\pM]|\[[^\[\]]{1,8}\])+', ''),
            '([\s\pZ\pP\pS\pC\pM]|\[[^\[\]]{1,8}\])+$', '')
        IN ('谢谢', '谢谢你', '谢谢啦', '好的谢谢', '好的，谢谢', '好的,谢谢', '再见');

-- Who every id is, asked once an id rather than once a message.
CREATE OR REPLACE TEMP TABLE people AS
    WITH seen AS (
        SELECT DISTINCT from_id AS id FROM messages
        UNION
        SELECT DISTINCT unnest(to_ids) FROM (SELECT DISTINCT to_ids FROM messages)
    )
    SELECT id, role_of(id, e.userid IS NOT NULL, c.external_userid IS NOT NULL) AS role
    FROM seen
    LEFT JOIN employees e ON e.userid = id
    LEFT JOIN customers c ON c.external_userid = id
    WHERE id <> '';

-- Rooms that have, or ever had, a customer: a member, a speaker or a receiver.
CREATE OR REPLACE TEMP TABLE external_rooms AS
    SELECT DISTINCT room FROM (
        SELECT room_id AS room, from_id AS id FROM messages WHERE room_id <> ''
        UNION
        SELECT room, unnest(to_ids) FROM (SELECT DISTINCT room_id AS room, to_ids FROM messages WHERE room_id <> '')
        UNION
        SELECT chat_id, member_id FROM group_members
    ) LEFT JOIN people USING (id)
    LEFT JOIN customers ON external_userid = id
    WHERE role = 'customer' OR (role IS NULL AND role_of(id, false, external_userid IS NOT NULL) = 'customer');

CREATE OR REPLACE TEMP VIEW counted AS
    SELECT m.*, p.role AS side
    FROM messages m JOIN people p ON p.id = m.from_id
    WHERE action = 'send' AND msgtype NOT IN ('revoke', 'agree', 'disagree', 'switch')
      AND p.role <> 'robot';

CREATE OR REPLACE TEMP VIEW entries AS
    WITH pairs AS (
        SELECT c.*, unnest(list_distinct(to_ids)) AS other
        FROM counted c WHERE room_id = ''
    ), placed AS (
        SELECT least(from_id, other) || '|' || greatest(from_id, other) AS conversation,
               'single_external' AS kind,
               CASE WHEN side = 'employee' THEN from_id ELSE other END AS employee,
               CASE WHEN side = 'employee' THEN other ELSE from_id END AS customer,
               pairs.*
        FROM pairs JOIN people o ON o.id = other
        WHERE o.role IN ('employee', 'customer') AND o.role <> side
        UNION ALL BY NAME
        SELECT room_id AS conversation, 'group_external' AS kind, c.*
        FROM counted c WHERE room_id IN (SELECT room FROM external_rooms)
    )
    SELECT conversation, kind, employee, customer, epoch_ms(msgtime) AS at_ms, seq, msgid,
           from_id AS speaker, side, call_ms,
           side = 'customer' AND msgtype = 'text' AND is_closing(text) AS closes
    FROM placed;

-- Where dialogues begin, and which messages are replies: windows over one order.
CREATE OR REPLACE TEMP VIEW marked AS
    WITH beside AS (
        SELECT *, lag(at_ms) OVER w AS before_ms, lag(side) OVER w AS before_side,
               lag(closes) OVER w AS before_closes
        FROM entries
        WINDOW w AS (PARTITION BY conversation ORDER BY at_ms, seq, msgid)
    ), begun AS (
        SELECT *, before_ms IS NULL OR at_ms - before_ms >= 30 * 60000 OR before_closes AS starts
        FROM beside
    )
    SELECT *,
           sum(starts::INT) OVER w AS dialogue,
           last_value(CASE WHEN side = 'customer' AND (starts OR before_side = 'employee') THEN at_ms END
                      IGNORE NULLS) OVER w AS turn_ms,
           NOT starts AND side = 'employee' AND before_side = 'customer' AS is_reply
    FROM begun
    WINDOW w AS (PARTITION BY conversation ORDER BY at_ms, seq, msgid
                 ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

CREATE OR REPLACE TEMP MACRO dialogues_of(marked_messages) AS TABLE
    SELECT conversation, kind, dialogue, any_value(employee) AS employee, any_value(customer) AS customer,
           min(at_ms) AS started_ms, max(at_ms) AS ended_ms,
           max(side) FILTER (starts) AS opened_by,
           count(*) FILTER (side = 'employee') AS employee_messages,
           count(*) FILTER (side = 'customer') AS customer_messages,
           arg_min(at_ms - turn_ms, at_ms) FILTER (is_reply) AS first_reply_ms,
           count(*) FILTER (is_reply) AS replies,
           sum(at_ms - turn_ms) FILTER (is_reply) AS reply_ms
    FROM query_table(marked_messages)
    GROUP BY conversation, kind, dialogue;
