//! Bodies of what is announced, asked and arranged: meetings, calendars, votes, forms, robots' cards.

use super::company::Company;
use super::dice::Dice;
use super::json::{Js, List};
use super::payload::Props;
use super::rhythm::{HOUR, date_of};

pub(crate) fn meeting_id(dice: &mut Dice) -> u64 {
    6_000_000_000_000_000_000 + dice.bits() % 900_000_000_000_000_000
}

/// The next full hour after `at`, in seconds.
pub(crate) fn next_hour(at: i64, hours: i64) -> i64 {
    (at / HOUR + 1 + hours) * HOUR / 1000
}

pub(crate) fn meeting(topic: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let start = next_hour(props.at, dice.between(0, 30));
    let status = match dice.below(3) {
        0 => String::new(),
        1 => ",\"meetingtype\":101".to_owned(),
        _ => format!(
            ",\"meetingtype\":102,\"status\":{}",
            dice.pick(&[1, 1, 1, 2, 3])
        ),
    };
    format!(
        "\"meeting\",\"meeting\":{{\"topic\":{},\"starttime\":{start},\"endtime\":{},\"address\":\"\",\"remarks\":\"\",\"meetingid\":{}{status}}}",
        Js(topic),
        start + 3600,
        meeting_id(dice)
    )
}

pub(crate) fn calendar(title: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let company = props.cast.company;
    let names: Vec<&str> = (0..dice.between(1, 4))
        .map(|_| {
            company.employees[dice.below(company.employees.len())]
                .name
                .as_str()
        })
        .collect();
    let start = next_hour(props.at, dice.between(1, 60));
    format!(
        "\"calendar\",\"calendar\":{{\"title\":{},\"creatorname\":{},\"attendeename\":{},\"starttime\":{start},\"endtime\":{},\"place\":{},\"remarks\":\"\"}}",
        Js(title),
        Js(props.sender_name),
        List(names.into_iter().map(Js).collect()),
        start + 3600 * dice.between(1, 3),
        Js(dice.word(&["总部3号会议室", "线上", "门店二楼", ""]))
    )
}

pub(crate) fn vote(title: &str, dice: &mut Dice) -> String {
    let options: &[&str] = match title {
        "团建去哪" => &["爬山", "漂流", "农家乐", "剧本杀"],
        "中秋福利选什么" => &["月饼礼盒", "购物卡", "水果箱"],
        _ => &["周六上午", "周六下午", "周日上午", "周日下午"],
    };
    let fields = format!(
        "\"votetitle\":{},\"voteitem\":{},\"votetype\":{},\"voteid\":\"{:024x}\"",
        Js(title),
        List(options.iter().map(|option| Js(option)).collect()),
        dice.between(101, 102),
        dice.bits()
    );
    if dice.chance(500) {
        format!("\"vote\",\"vote\":{{{fields}}}")
    } else {
        format!("\"vote\",{fields}")
    }
}

pub(crate) fn collect(title: &str, props: &Props<'_>, dice: &mut Dice) -> String {
    let questions: &[(&str, &str)] = match title {
        "工服尺码登记" => &[("姓名", "Text"), ("身高cm", "Number"), ("尺码", "Text")],
        "到店活动报名" => &[
            ("称呼", "Text"),
            ("到店日期", "Date"),
            ("到店时间", "Time"),
            ("人数", "Number"),
        ],
        _ => &[("姓名", "Text"), ("体温", "Number"), ("日期", "Date")],
    };
    let details: Vec<String> = questions
        .iter()
        .map(|(question, kind)| {
            format!(
                "{{\"id\":{},\"ques\":\"{question}\",\"type\":\"{kind}\"}}",
                dice.bits() >> 1
            )
        })
        .collect();
    format!(
        "\"collect\",\"collect\":{{\"room_name\":{},\"creator\":{},\"create_time\":\"{} 09:{:02}:00\",\"title\":{},\"details\":{}}}",
        Js(props.room_name),
        Js(props.sender_name),
        date_of(props.at),
        dice.between(0, 59),
        Js(title),
        List(details)
    )
}

pub(crate) fn markdown(company: &Company, props: &Props<'_>, dice: &mut Dice) -> String {
    let store = &company.stores[dice.below(company.stores.len())].name;
    let who = &company.employees[dice.below(company.employees.len())].name;
    let (big, small) = (dice.between(20, 300), dice.between(1, 30));
    match dice.below(5) {
        0 => format!(
            "**门店业绩播报** {}\n> {store}：<font color=\"info\">{big}00元</font>\n> 成交{small}单，排名第{}",
            date_of(props.at).format("%m-%d"),
            1 + small % 9
        ),
        1 => format!(
            "<font color=\"warning\">超时提醒</font>\n客户消息已 **{big} 分钟**未回复\n>责任人：{who}\n>请尽快处理"
        ),
        2 => format!(
            "### 库存预警\n{store}以下商品低于安全库存：\n- 冰箱 **{small}** 台\n- 奶粉 **{big}** 罐"
        ),
        3 => format!(
            "**质检日报**\n今日抽检会话 {big} 段，疑似违规 <font color=\"warning\">{small}</font> 条\n[查看详情](https://qc.huicun.example/d/{big})"
        ),
        _ => format!(
            "工单 **WX{big}{small:02}** 已派给 {who}\n>预计上门：今天下午\n>状态：<font color=\"comment\">待接单</font>"
        ),
    }
}

pub(crate) fn news(props: &Props<'_>, dice: &mut Dice) -> String {
    let store = &props.cast.company.stores[props.cast.store()].name;
    let number = dice.between(1, 52);
    let title = match dice.below(3) {
        0 => format!("第{number}周经营周报"),
        1 => format!("{store}陈列评比结果"),
        _ => format!("新品上市学习资料（{number}）"),
    };
    let fields = |dice: &mut Dice, title: &str| {
        format!(
            "\"title\":{},\"description\":\"点击查看\",\"url\":\"https://news.huicun.example/{:06}\",\"picurl\":\"https://news.huicun.example/p.jpg\"",
            Js(title),
            dice.between(0, 999_999)
        )
    };
    if dice.chance(200) {
        return format!("\"news\",\"info\":{{{}}}", fields(dice, &title));
    }
    let items: Vec<String> = (0..dice.between(1, 3))
        .map(|index| {
            fields(
                dice,
                &if index == 0 {
                    title.clone()
                } else {
                    format!("{title}·{}", index + 1)
                },
            )
        })
        .collect();
    let items: Vec<String> = items
        .into_iter()
        .map(|item| format!("{{{item}}}"))
        .collect();
    format!("\"news\",\"info\":{{\"item\":{}}}", List(items))
}

pub(crate) fn sphfeed(props: &Props<'_>, dice: &mut Dice) -> String {
    let store = &props.cast.company.stores[props.cast.store()].name;
    let text = dice.word(&[
        "今晚8点直播，家电专场",
        "三分钟学会清洗空调滤网",
        "宝宝辅食怎么做",
        "新店探店",
        "一个视频看懂以旧换新",
    ]);
    format!(
        "\"sphfeed\",\"sphfeed\":{{\"feed_type\":{},\"sph_name\":{},\"feed_desc\":{}}}",
        dice.pick(&[2, 4, 4, 9]),
        Js(&format!("禾悦家{store}")),
        Js(text)
    )
}
