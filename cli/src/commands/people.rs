//! `contacts` and `portrait`: who spoke to whom, and what a group is like.

use std::path::Path;

use huicun_engine::access::Scope;
use huicun_query_api::queries::contacts::{ContactParams, contacts as ask_contacts};
use huicun_query_api::queries::portrait::{
    PortraitAnswer, PortraitParams, Texts, portrait as ask_portrait,
};
use huicun_query_api::queries::portrait_parts::Part;
use huicun_semantics::time::Period;

use super::ask::{about, say_holes, target, with_as_of, write};
use super::open_archive;
use crate::arguments::{ContactArguments, PortraitArguments, PortraitPart};
use crate::failure::Failure;
use crate::output::{self, About, Format, Language};

pub async fn contacts(data: &Path, options: ContactArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let archive = open_archive(data).await?;
    let params = ContactParams {
        from: options.days.from,
        to: options.days.to,
        per: Some(options.per),
        employees: options.employee,
        customers: options.customer,
        departments: options.department,
        limit: options.limit,
        cursor: None,
    };
    let page = ask_contacts(&Scope::local_operator(), &archive, &params).await?;
    say_holes(&page.as_of, target.language);
    let about = with_period(about("联系情况", "Contacts"), page.period, target.language);
    let about = with_as_of(about, &page.as_of, target.language);
    write(&page.into_table(), &about, &target)
}

pub async fn portrait(data: &Path, options: PortraitArguments) -> Result<(), Failure> {
    let target = target(&options.out)?;
    let part = options.part.map(part_of);
    let format = output::format(&target)?;
    if part.is_none() && matches!(format, Format::Csv | Format::Parquet) {
        return Err(Failure::usage(format!(
            "a portrait has several tables, and `{format}` holds one: give `--part`"
        )));
    }
    let archive = open_archive(data).await?;
    let params = PortraitParams {
        id: options.id,
        from: options.days.from,
        to: options.days.to,
        texts: match part {
            None | Some(Part::Keywords) => Texts::Read,
            Some(_) => Texts::Leave,
        },
    };
    let answer = ask_portrait(&Scope::local_operator(), &archive, &params).await?;
    say_holes(&answer.as_of, target.language);
    let about = about_of(&answer, part, target.language);
    let item = &answer.item;
    match part {
        Some(part) => write(&item.part(part), &about, &target),
        None if matches!(format, Format::Table | Format::Xlsx) => {
            let parts = Part::ALL.map(|part| {
                let (zh, en) = part.titles();
                let table = item.part(part);
                output::Part { zh, en, table }
            });
            Ok(output::write_parts(&parts, &about, &target)?)
        }
        None => write(&item.whole(), &about, &target),
    }
}

fn part_of(part: PortraitPart) -> Part {
    match part {
        PortraitPart::Group => Part::Group,
        PortraitPart::Days => Part::Days,
        PortraitPart::Keywords => Part::Keywords,
        PortraitPart::Tags => Part::Tags,
        PortraitPart::Members => Part::Members,
        PortraitPart::Left => Part::Left,
    }
}

fn about_of(answer: &PortraitAnswer, part: Option<Part>, language: Language) -> About {
    let (zh, en) = part.map_or(("群画像", "Portrait of a group"), Part::titles);
    let mut about = about(zh, en);
    let label = match language {
        Language::Zh => "群",
        Language::En => "Group",
    };
    let name = answer.item.name.as_deref().unwrap_or_default();
    let told = format!("{name} {}", answer.item.chat_id);
    about.notes.push((label.into(), told.trim().into()));
    let about = with_period(about, answer.period, language);
    with_as_of(about, &answer.as_of, language)
}

fn with_period(mut about: About, period: Period, language: Language) -> About {
    let label = match language {
        Language::Zh => "统计时段",
        Language::En => "Period",
    };
    let told = format!("{} – {}", period.from, period.to);
    about.notes.push((label.into(), told));
    about
}
