//! What questions about figures are asked of: the derived tables at one version, with the directory
//! and the rules that they were made from.

use crate::archive::Home;
use crate::directory::Directory;
use crate::rules::Rules;
use crate::state::State;

use super::derive::load::Snapshot;
use super::derive::{self, DeriveError, Watch};

/// Everything that was computed from one version of messages, directory and rules.
pub struct Facts {
    /// The directory.
    pub directory: Directory,
    /// The rules.
    pub rules: Rules,
    /// The derived tables.
    pub snapshot: Snapshot,
    /// Version of `messages`.
    pub messages_version: u64,
}

impl Facts {
    /// The facts of the newest messages, directory and rules: brings the derived tables forward
    /// where they are behind. May compute for long.
    ///
    /// # Errors
    /// Tables that cannot be read or written.
    pub async fn current(
        home: &Home,
        rules: &Rules,
        watch: &Watch<'_>,
    ) -> Result<Self, DeriveError> {
        let state = State::open(&home.state())?;
        let manifest = match derive::is_current(home, rules, &state).await? {
            Some(manifest) => manifest,
            None => derive::bring_forward(home, rules, watch).await?.0,
        };
        let messages_version = manifest.made_from.messages_version;
        let zone = rules.zone()?;
        let directory = async { Ok(Directory::load(home).await?) };
        let (directory, snapshot) =
            futures::try_join!(directory, Snapshot::open(home, manifest, zone))?;
        Ok(Self {
            directory,
            rules: rules.clone(),
            snapshot,
            messages_version,
        })
    }
}
