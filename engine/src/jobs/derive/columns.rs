//! Columns of derived tables, read back by name. All panic where a column is missing or of another
//! type: derived tables are read with all the columns of their schema.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch
        .column_by_name(name)
        .expect("derived tables are read with all their columns")
}

/// A column of texts.
pub fn text<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    column(batch, name).as_string()
}

/// A column of instants, UTC microseconds.
pub fn instant<'a>(batch: &'a RecordBatch, name: &str) -> &'a TimestampMicrosecondArray {
    column(batch, name).as_primitive::<TimestampMicrosecondType>()
}

/// A column of whole numbers.
pub fn integer<'a>(batch: &'a RecordBatch, name: &str) -> &'a Int64Array {
    column(batch, name).as_primitive::<Int64Type>()
}

/// A column of lists.
pub fn list<'a>(batch: &'a RecordBatch, name: &str) -> &'a ListArray {
    column(batch, name).as_list()
}

/// The text of a row, if it has one.
pub fn maybe_text(column: &StringArray, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.value(row))
}

/// The instant of a row in UTC milliseconds, if it has one.
pub fn maybe_ms(column: &TimestampMicrosecondArray, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.value(row) / 1000)
}

/// The instants of a row's list, UTC microseconds.
pub fn instants_of(list: &ListArray, row: usize) -> &[i64] {
    let values = list.values().as_primitive::<TimestampMicrosecondType>();
    &values.values()[range(list, row)]
}

/// The numbers of a row's list.
pub fn integers_of(list: &ListArray, row: usize) -> &[i64] {
    let values = list.values().as_primitive::<Int64Type>();
    &values.values()[range(list, row)]
}

/// The texts of a row's list.
pub fn texts_of(list: &ListArray, row: usize) -> impl ExactSizeIterator<Item = &str> + Clone {
    let values = list.values().as_string::<i32>();
    range(list, row).map(|at| values.value(at))
}

fn range(list: &ListArray, row: usize) -> Range<usize> {
    let ends = list.value_offsets();
    ends[row] as usize..ends[row + 1] as usize
}
