//! What callers ask, at random: routes of messages, routes of figures, SQL.

use super::company::{Company, Dice};
use super::served::{Ask, encoded};

fn maybe(dice: &mut Dice, percent: usize, name: &str, value: &str) -> String {
    match dice.is(percent) {
        true => format!("&{name}={}", encoded(value)),
        false => String::new(),
    }
}

fn filters(dice: &mut Dice, company: &Company) -> String {
    let employee = dice.one(&company.employees).0.clone();
    let customer = dice.one(&company.customers).clone();
    let department = dice.one(&company.departments).0.clone();
    let room = dice.one(&company.rooms).id.clone();
    let kinds = [
        "single_external",
        "single_internal",
        "group_external",
        "group_internal",
        "other",
    ];
    let kind = *dice.one(&kinds);
    let kind_of_file = *dice.one(&["file", "text"]);
    maybe(dice, 30, "employee", &employee)
        + &maybe(dice, 15, "customer", &customer)
        + &maybe(dice, 15, "department", &department)
        + &maybe(dice, 15, "room", &room)
        + &maybe(dice, 25, "kind", kind)
        + &maybe(dice, 10, "type", kind_of_file)
        + &maybe(dice, 15, "from", "2024-10-02")
        + &maybe(dice, 15, "to", "2024-10-02")
}

fn words(dice: &mut Dice, company: &Company) -> String {
    let said = dice.one(&company.said).clone();
    let employee = dice.one(&company.employees).0.clone();
    let room = dice.one(&company.rooms).id.clone();
    match dice.roll(12) {
        0..3 => String::new(),
        3..5 => "退款".into(),
        5 => "k".into(),
        6 => said.text,
        7 => format!("with:{employee}"),
        8 => format!("-with:{employee}"),
        9 => format!("in:{room}"),
        10 => format!("from:{employee} 退"),
        _ => "kind:group_external".into(),
    }
}

/// A question about messages.
pub fn of_messages(dice: &mut Dice, company: &Company) -> Ask {
    let said = dice.one(&company.said).clone();
    let q = encoded(&words(dice, company));
    let limit = [1, 3, 7, 100][dice.roll(4)];
    match dice.roll(12) {
        0..4 => {
            let order = maybe(dice, 25, "order", "relevance");
            let filters = filters(dice, company);
            Ask::get(format!("/v1/search?q={q}&limit={limit}{order}{filters}"))
        }
        4..6 => {
            let by = *dice.one(&["conversation", "employee", "department", "type", "day"]);
            let filters = filters(dice, company);
            Ask::get(format!("/v1/search/counts?q={q}&by={by}{filters}"))
        }
        6..8 => {
            let filters = filters(dice, company);
            Ask::get(format!("/v1/conversations?q={q}&limit={limit}{filters}"))
        }
        8..10 => {
            let ids = company.conversations();
            let id: &String = dice.one(&ids);
            let id = encoded(id);
            let around = maybe(dice, 40, "around", &said.seq.to_string());
            let days = maybe(dice, 20, "from", "2024-10-02");
            Ask::get(format!(
                "/v1/conversations/{id}/messages?limit={limit}{around}{days}"
            ))
        }
        10 => Ask::get(format!("/v1/media/{}", said.msgid)),
        _ => Ask::get(format!("/v1/media?msgid={}", said.msgid)),
    }
}

/// A question about figures and what they are made of.
pub fn of_figures(dice: &mut Dice, company: &Company) -> Ask {
    let employee = dice.one(&company.employees).0.clone();
    let customer = dice.one(&company.customers).clone();
    let department = dice.one(&company.departments).0.clone();
    let room = dice.one(&company.rooms).id.clone();
    let limit = [2, 100][dice.roll(2)];
    let who = maybe(dice, 20, "employee", &employee) + &maybe(dice, 20, "department", &department);
    let days = maybe(dice, 30, "from", "2024-10-01") + &maybe(dice, 20, "to", "2024-10-02");
    let report = *dice.one(&[
        "employees",
        "departments",
        "guides",
        "stores",
        "customers",
        "groups",
    ]);
    let by = maybe(dice, 30, "by", "day");
    Ask::get(match dice.roll(14) {
        0..2 => format!("/v1/dialogues?limit={limit}{who}{days}"),
        2..4 => format!("/v1/timeouts?limit={limit}{who}{days}"),
        4..6 => format!("/v1/behaviours?limit={limit}{who}{days}"),
        6 => {
            let customers = maybe(dice, 30, "customer", &customer);
            format!("/v1/contacts?limit={limit}{who}{days}{customers}")
        }
        7 => format!("/v1/groups/{room}/portrait?{days}"),
        8..11 => format!("/v1/reports/{report}?{who}{days}{by}"),
        11 => {
            let of = [
                ("employees", "dialogues"),
                ("employees", "timeouts"),
                ("groups", "messages"),
            ];
            let (report, metric) = *dice.one(&of);
            let unit = match report {
                "employees" => maybe(dice, 70, "employee", &employee),
                _ => maybe(dice, 70, "group", &room),
            };
            format!("/v1/explain/{report}/{metric}?limit={limit}{unit}{days}")
        }
        12 => format!("/v1/kf/sessions?limit={limit}"),
        _ => format!("/v1/kf/sessions/s{}/messages?limit={limit}", dice.roll(8)),
    })
}

/// Statements over `messages` only: each has one answer, whatever the order of rows.
const OF_MESSAGES: [&str; 16] = [
    "SELECT * FROM messages ORDER BY seq",
    "SELECT count(*), count(DISTINCT from_id), min(seq), max(text) FROM messages",
    "SELECT from_id, count(*) AS n FROM messages GROUP BY from_id ORDER BY n DESC, from_id",
    "SELECT seq FROM messages WHERE cast(text AS INT) >= 0 ORDER BY seq",
    "SELECT seq FROM messages WHERE try_cast(text AS INT) >= 0 ORDER BY seq",
    "SELECT seq FROM messages WHERE 10 / (seq - SEQ) > -100 ORDER BY seq",
    "SELECT count(*) FROM messages WHERE seq = SEQ AND cast(text AS INT) > -1",
    "SELECT count(*) FROM messages WHERE msgid = 'MSGID' AND 1 / (seq - SEQ) = 0",
    "SELECT a.seq FROM messages a JOIN messages b ON a.text = b.text AND a.seq <> b.seq ORDER BY 1",
    "SELECT seq FROM messages WHERE text LIKE '%TEXT%' ORDER BY seq",
    "SELECT seq, row_number() OVER (ORDER BY seq) FROM messages ORDER BY seq LIMIT 5",
    "SELECT seq FROM messages WHERE seq > (SELECT max(seq) - 9 FROM messages) ORDER BY seq",
    "SELECT count(*) FROM messages WHERE day >= date '2024-10-02'",
    "SELECT seq FROM messages WHERE seq >= SEQ ORDER BY seq LIMIT 3",
    "SELECT unnest(to_ids) AS who, count(*) FROM messages GROUP BY 1 ORDER BY 1",
    "SELECT DISTINCT room_id FROM messages ORDER BY room_id",
];

/// Tables and an order that tells their rows apart.
pub const TABLES: [(&str, &str); 24] = [
    ("messages", "seq"),
    ("departments", "id"),
    ("employees", "userid"),
    ("customers", "external_userid"),
    ("relations", "userid, external_userid"),
    ("groups", "chat_id"),
    ("group_members", "chat_id, member_id"),
    ("followups", "id"),
    ("kf_messages", "session_id"),
    ("tasks", "id"),
    ("orders", "id"),
    ("stores", "store_id"),
    ("dialogues", "dialogue_id"),
    ("replies", "dialogue_id, turn_at, reply_at"),
    ("activity", "day, conversation, speaker"),
    ("calls", "message_id"),
    (
        "timers",
        "message_id, conversation, employee, started_at, ended_at",
    ),
    ("waiting", "message_id, conversation, employee"),
    ("timeouts", "timer_message_id, conversation, employees"),
    (
        "timeouts_and_coming",
        "timer_message_id, conversation, employees",
    ),
    ("conversations", "conversation"),
    ("sightings", "message_id, rules_version"),
    ("behaviours", "behaviour_id"),
    ("behaviour_reviews", "behaviour_id"),
];

fn filled(dice: &mut Dice, company: &Company, statement: &str) -> Ask {
    let said = dice.one(&company.said);
    let text: String = said.text.chars().rev().take(9).collect();
    let text: String = text.chars().rev().collect();
    let statement = statement
        .replace("MSGID", &said.msgid)
        .replace("SEQ", &said.seq.to_string())
        .replace("TEXT", &text);
    Ask::sql(&statement)
}

/// A statement over `messages`.
pub fn sql_of_messages(dice: &mut Dice, company: &Company) -> Ask {
    let statement = *dice.one(&OF_MESSAGES);
    filled(dice, company, statement)
}

/// A statement over any table.
pub fn sql(dice: &mut Dice, company: &Company) -> Ask {
    let (table, order) = *dice.one(&TABLES);
    let statement = match dice.roll(3) {
        0 => format!("SELECT * FROM {table} ORDER BY {order}"),
        1 => format!("SELECT count(*) FROM {table}"),
        // Rules follow the version of the archive's state, not of what is asked.
        _ => format!("SELECT * FROM {table} t WHERE cast(cast(t AS VARCHAR) AS INT) > 0"),
    };
    filled(dice, company, &statement)
}
