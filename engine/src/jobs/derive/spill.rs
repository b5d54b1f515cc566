//! Rows of a rebuild on their way into the tables. A stretch of messages also gives rows of earlier
//! days: a dialogue is given out when nothing can change it any more. So rows wait in unnamed files
//! on disk, by the stretch to which their day belongs, and each day's file is sorted and written
//! once, when all of its rows are there. Memory is that of the rows of one stretch's days.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::buffer::Buffer;
use arrow::datatypes::Date32Type;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use rayon::prelude::*;

use super::DeriveError;
use super::schema::{self, Derived};

/// Rows of all tables, set aside.
pub struct Spill {
    /// The first day of each stretch but the first, days since 1970, ascending.
    bounds: Vec<i32>,
    tables: HashMap<&'static str, Aside>,
}

/// Rows of one table, set aside.
pub struct Aside {
    spec: &'static Derived,
    file: File,
    n_bytes: u64,
    /// For the days of each stretch: where in the file batches of them lie.
    chunks: Vec<Vec<Range<u64>>>,
}

impl Spill {
    /// Room for rows in unnamed files within `folder`.
    pub fn within(folder: &Path, bounds: Vec<i32>) -> Result<Self, DeriveError> {
        let mut tables = HashMap::new();
        for spec in schema::TABLES.iter() {
            let aside = Aside {
                spec,
                file: tempfile::tempfile_in(folder).map_err(DeriveError::other)?,
                n_bytes: 0,
                chunks: vec![Vec::new(); bounds.len() + 1],
            };
            tables.insert(spec.name, aside);
        }
        Ok(Self { bounds, tables })
    }

    /// Sets rows aside, those of each table by a thread of its own.
    ///
    /// # Errors
    /// A disk that is full.
    pub fn put(&mut self, rows: HashMap<&'static str, RecordBatch>) -> Result<(), DeriveError> {
        let bounds = &self.bounds;
        self.tables.par_iter_mut().try_for_each(|(name, aside)| {
            let rows = rows.get(name).filter(|rows| rows.num_rows() > 0);
            rows.map_or(Ok(()), |rows| aside.put(rows, bounds))
        })
    }

    /// The tables that have any rows.
    pub fn into_tables(self) -> impl Iterator<Item = (&'static str, Aside)> {
        let tables = self.tables.into_iter();
        tables.filter(|(_, aside)| aside.n_bytes > 0)
    }
}

impl Aside {
    /// Whose rows they are.
    pub fn spec(&self) -> &'static Derived {
        self.spec
    }

    /// How many stretches there are.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    fn put(&mut self, rows: &RecordBatch, bounds: &[i32]) -> Result<(), DeriveError> {
        let Some(days) = rows.column_by_name("day") else {
            return self.write(0, rows);
        };
        let mut of_stretch: Vec<Vec<u32>> = vec![Vec::new(); self.chunks.len()];
        for (row, day) in (0..).zip(days.as_primitive::<Date32Type>().values()) {
            of_stretch[bounds.partition_point(|first| first <= day)].push(row);
        }
        for (stretch, chosen) in of_stretch.into_iter().enumerate() {
            if chosen.len() == rows.num_rows() {
                self.write(stretch, rows)?;
            } else if !chosen.is_empty() {
                let chosen = UInt32Array::from(chosen);
                self.write(stretch, &arrow::compute::take_record_batch(rows, &chosen)?)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, stretch: usize, rows: &RecordBatch) -> Result<(), DeriveError> {
        let mut bytes = Vec::with_capacity(rows.get_array_memory_size());
        let mut writer = StreamWriter::try_new(&mut bytes, &rows.schema())?;
        writer.write(rows)?;
        writer.finish()?;
        let end = self.n_bytes + bytes.len() as u64;
        self.file
            .write_all_at(&bytes, self.n_bytes)
            .map_err(DeriveError::other)?;
        self.chunks[stretch].push(self.n_bytes..end);
        self.n_bytes = end;
        Ok(())
    }

    /// The rows of the days of a stretch, in no order.
    pub fn read(&self, stretch: usize) -> Result<Vec<RecordBatch>, DeriveError> {
        let mut rows = Vec::new();
        for chunk in &self.chunks[stretch] {
            let n_bytes = usize::try_from(chunk.end - chunk.start).map_err(DeriveError::other)?;
            let mut bytes = vec![0; n_bytes];
            self.file
                .read_exact_at(&mut bytes, chunk.start)
                .map_err(DeriveError::other)?;
            // Batches share these bytes.
            let (mut bytes, mut decoder) = (Buffer::from_vec(bytes), StreamDecoder::new());
            while let Some(batch) = decoder.decode(&mut bytes)? {
                rows.push(batch);
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, Date32Array, Int64Array, StringArray};

    use super::*;

    fn sightings(days: &[i32]) -> RecordBatch {
        let schema = schema::table(schema::ACTIVITY).schema();
        let columns = schema.fields().iter().map(|field| {
            let column: Arc<dyn Array> = match field.name().as_str() {
                "day" => Arc::new(Date32Array::from(days.to_vec())),
                "speaker" => Arc::new(StringArray::from_iter_values(
                    days.iter().map(|day| format!("e{day}")),
                )),
                "messages" => Arc::new(Int64Array::from_iter_values(
                    days.iter().map(|day| i64::from(*day)),
                )),
                _ => arrow::array::new_null_array(field.data_type(), days.len()),
            };
            column
        });
        let columns: Vec<_> = columns.collect();
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_nullable(true))
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        RecordBatch::try_new(schema, columns).unwrap()
    }

    #[test]
    fn rows_come_back_with_the_stretch_of_their_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut spill = Spill::within(folder.path(), vec![10, 20]).unwrap();
        for days in [&[1, 9, 10][..], &[19, 20, 3, 400], &[12]] {
            spill
                .put(HashMap::from([(schema::ACTIVITY, sightings(days))]))
                .unwrap();
        }
        let (_, aside) = spill.into_tables().next().unwrap();
        let days_of = |stretch| {
            let mut days: Vec<i32> = Vec::new();
            for batch in aside.read(stretch).unwrap() {
                let day = batch.column_by_name("day").unwrap();
                days.extend(day.as_primitive::<Date32Type>().values());
            }
            days
        };
        assert_eq!(days_of(0), [1, 9, 3]);
        assert_eq!(days_of(1), [10, 19, 12]);
        assert_eq!(days_of(2), [20, 400]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
