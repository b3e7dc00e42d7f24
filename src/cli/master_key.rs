//! `keyward master-key`.

use crate::cli::database::Reach;
use crate::cli::output::Failure;
use crate::cli::output::Out;
use crate::config::MasterKeySettings;
use crate::domain::master_keys;
use crate::model::id::KeyId;
use crate::model::master_key::MasterKeys;
use clap::Subcommand;
use serde::Serialize;

/// Make and change the master keys that seal recoverable keys
#[derive(Debug, Subcommand)]
pub enum MasterKey {
    /// Print a new master key for KEYWARD_MASTER_KEY; put it before the ones in use, separated by a comma
    Generate,
    /// Seal every recoverable key again under the first master key of the ring
    Rotate {
        /// The ring
        #[command(flatten)]
        settings: MasterKeySettings,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Generated {
    master_key: String,
}

#[derive(Serialize)]
struct Rotated {
    resealed: usize,
}

impl MasterKey {
    /// Runs the command.
    ///
    /// # Errors
    /// No ring, or one that does not open everything.
    pub fn run(self, reach: &Reach, out: Out) -> Result<(), Failure> {
        match self {
            Self::Generate => {
                let generated = Generated { master_key: MasterKeys::generate_entry()? };
                out.data(&generated, || generated.master_key.clone())
            }
            Self::Rotate { settings } => {
                let ring = settings.ring()?;
                let opened = reach.open_migrated()?;
                opened.read(|tx| master_keys::refuse_incomplete(tx, &ring))?;
                let (mut after, mut resealed) = (KeyId::from_text(""), 0_usize);
                loop {
                    let progress = opened.write(|tx| master_keys::rotate_some(tx, &ring, &after))?;
                    resealed = resealed.saturating_add(progress.resealed);
                    match progress.next {
                        Some(next) => after = next,
                        None => break,
                    }
                }
                out.data(&Rotated { resealed }, || format!("{resealed} keys were sealed again"))
            }
        }
    }
}
