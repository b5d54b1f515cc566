//! Reads the columns of one directory table, with ids as numbers.

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use chrono::NaiveDate;
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSliceMut as _;

use super::ids::Seen;

/// The rows of a table, as `store` gives them: all columns of its spec, in its types.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    batch: &'a RecordBatch,
    ids: &'a [IdColumn],
}

/// An id column and, for each of its texts, the number of that id.
pub(super) type IdColumn = (&'static str, Vec<u32>);

/// The place of a text that is null.
const NOWHERE: u32 = u32::MAX;

const ALL_COLUMNS: &str = "a table is read with all columns of its spec";
const ALL_IDS: &str = "ids were collected from every id column";

impl<'a> Rows<'a> {
    pub(super) fn new(batch: &'a RecordBatch, ids: &'a [IdColumn]) -> Self {
        Self { batch, ids }
    }

    pub(super) fn numbers(&self) -> std::ops::Range<usize> {
        0..self.batch.num_rows()
    }

    fn column(&self, name: &str) -> &'a dyn Array {
        self.batch.column_by_name(name).expect(ALL_COLUMNS).as_ref()
    }

    /// A text, missing where it is null or empty.
    pub(super) fn text(&self, name: &str) -> impl Fn(usize) -> Option<&'a str> + use<'a> {
        let array: &StringArray = self.column(name).as_string();
        move |row| {
            let given = array.is_valid(row).then(|| array.value(row));
            given.filter(|text| !text.is_empty())
        }
    }

    fn numbers_of(&self, name: &str) -> &'a [u32] {
        let column = self.ids.iter().find(|(column, _)| *column == name);
        &column.expect(ALL_IDS).1
    }

    /// The number of an id, missing where it is null or empty.
    pub(super) fn id(&self, name: &str) -> impl Fn(usize) -> Option<u32> + use<'a> {
        let (text, numbers) = (self.text(name), self.numbers_of(name));
        move |row| text(row).map(|_| numbers[row])
    }

    /// The texts of a list; none where it is null.
    pub(super) fn list(&self, name: &str) -> impl Fn(usize) -> Vec<&'a str> + use<'a> {
        let lists = self.column(name).as_list::<i32>();
        let (values, offsets) = (lists.values().as_string::<i32>(), lists.value_offsets());
        move |row| {
            if !lists.is_valid(row) {
                return Vec::new();
            }
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            (from..to)
                .filter(|at| values.is_valid(*at))
                .map(|at| values.value(at))
                .collect()
        }
    }

    /// The texts of a list, into a buffer that is cleared first; none where it is null.
    pub(super) fn list_into(&self, name: &str) -> impl Fn(usize, &mut Vec<&'a str>) + use<'a> {
        let lists = self.column(name).as_list::<i32>();
        let (values, offsets) = (lists.values().as_string::<i32>(), lists.value_offsets());
        move |row, into| {
            into.clear();
            if lists.is_valid(row) {
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                let valid = (from..to).filter(|at| values.is_valid(*at));
                into.extend(valid.map(|at| values.value(at)));
            }
        }
    }

    /// The numbers of a list of ids.
    pub(super) fn id_list(&self, name: &str) -> impl Fn(usize) -> Vec<u32> + use<'a> {
        let lists = self.column(name).as_list::<i32>();
        let (numbers, offsets) = (self.numbers_of(name), lists.value_offsets());
        move |row| {
            if !lists.is_valid(row) {
                return Vec::new();
            }
            let values = &numbers[offsets[row] as usize..offsets[row + 1] as usize];
            let given = values.iter().filter(|number| **number != NOWHERE);
            given.copied().collect()
        }
    }

    /// An instant, UTC milliseconds.
    pub(super) fn time(&self, name: &str) -> impl Fn(usize) -> Option<i64> + use<'a> {
        let array = self.column(name).as_primitive::<TimestampMicrosecondType>();
        move |row| {
            array
                .is_valid(row)
                .then(|| array.value(row).div_euclid(1000))
        }
    }

    pub(super) fn integer(&self, name: &str) -> impl Fn(usize) -> Option<i64> + use<'a> {
        let array = self.column(name).as_primitive::<Int64Type>();
        move |row| array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn number(&self, name: &str) -> impl Fn(usize) -> Option<f64> + use<'a> {
        let array = self.column(name).as_primitive::<Float64Type>();
        move |row| array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn boolean(&self, name: &str) -> impl Fn(usize) -> Option<bool> + use<'a> {
        let array = self.column(name).as_boolean();
        move |row| array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn day(&self, name: &str) -> impl Fn(usize) -> Option<NaiveDate> + use<'a> {
        let array = self.column(name).as_primitive::<Date32Type>();
        move |row| {
            let days = array.is_valid(row).then(|| array.value(row))?;
            Date32Type::to_naive_date_opt(days)
        }
    }
}

/// Adds what an id column, or a list of ids, holds, and gives the place of each text. Most ids of
/// most columns are there already: those are looked up side by side.
pub(super) fn collect_ids<'a>(
    batch: &'a RecordBatch,
    column: &str,
    into: &mut Seen<'a>,
) -> Vec<u32> {
    /// Rows that one task looks up: enough to be worth a task.
    const ROWS: usize = 8192;
    let array = batch.column_by_name(column).expect(ALL_COLUMNS);
    let texts: &StringArray = match array.as_list_opt::<i32>() {
        Some(lists) => lists.values().as_string(),
        None => array.as_string(),
    };
    let mut places = vec![NOWHERE; texts.len()];
    let known = &*into;
    places
        .par_chunks_mut(ROWS)
        .enumerate()
        .for_each(|(chunk, places)| {
            // Tables are sorted by key, so the row before often has the same.
            let mut last = ("", None);
            for (row, place) in (chunk * ROWS..).zip(places) {
                if texts.is_valid(row) {
                    let id = texts.value(row);
                    if last.0 != id || last.1.is_none() {
                        last = (id, known.place(id));
                    }
                    *place = last.1.unwrap_or(NOWHERE);
                }
            }
        });
    for (row, place) in places.iter_mut().enumerate() {
        if *place == NOWHERE && texts.is_valid(row) {
            *place = into.insert(texts.value(row));
        }
    }
    places
}

/// The numbers of places.
pub(super) fn numbered(mut places: Vec<u32>, number_of: &[u32]) -> Vec<u32> {
    for place in &mut places {
        if *place != NOWHERE {
            *place = number_of[*place as usize];
        }
    }
    places
}
