//! `[media]` of `huicun.toml`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// `[media]`: how files are fetched, where they are kept, how voice is converted.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaSettings {
    /// Whether `run` and `pull` fetch media; `huicun media fetch` does so in any case.
    pub enabled: bool,
    /// The folder of the files; without it, `media/` in the data directory. A `file://` URL, too.
    pub store: Option<String>,
    /// Files fetched at the same time for one company (1 to 4), each by a worker of its own.
    pub parallel: usize,
    /// Bytes a second at most, of all companies together; 0 is no bound.
    pub bytes_per_second_max: u64,
    /// Bytes that files may take; 0 is no bound. At the bound fetching pauses.
    pub disk_bytes_max: u64,
    /// Bytes that must stay free on the file system. Below it fetching pauses.
    pub disk_free_bytes_min: u64,
    /// A longer file is not fetched; it is lost with the reason `too_large`.
    pub file_bytes_max: u64,
    /// Failures in a row after which a file is given up, once WeCom's five days are over (before
    /// that it is tried on, less and less often).
    pub attempts_max: u32,
    /// Workers that one file may cost before it is given up with the reason `sdk_crash`.
    pub crashes_max: u32,
    /// The first wait after a failure, milliseconds; it doubles up to an hour.
    pub retry_wait_ms: u64,
    /// The program that converts voice; a bare name is looked for on `PATH`.
    pub ffmpeg: PathBuf,
    /// How long one conversion may take, seconds.
    pub convert_seconds_max: u64,
}

impl Default for MediaSettings {
    /// No bound of bandwidth; 1 GiB stays free; 4 GiB a file, twice what WeCom lets people send;
    /// 2 s, 4 s, ... between attempts, which makes ten some half an hour.
    fn default() -> Self {
        Self {
            enabled: true,
            store: None,
            parallel: 2,
            bytes_per_second_max: 0,
            disk_bytes_max: 0,
            disk_free_bytes_min: 1 << 30,
            file_bytes_max: 4 << 30,
            attempts_max: 10,
            crashes_max: 3,
            retry_wait_ms: 2_000,
            ffmpeg: PathBuf::from("ffmpeg"),
            convert_seconds_max: 60,
        }
    }
}

impl MediaSettings {
    /// Resolves paths, which are relative to the file's folder, and checks bounds.
    ///
    /// # Errors
    /// What is wrong, for the reader of the file.
    pub fn resolve(&mut self, folder: &Path) -> Result<(), String> {
        if let Some(store) = &mut self.store {
            let path = match store.split_once("://") {
                None => folder.join(&*store),
                Some(("file", path)) if path.starts_with('/') => PathBuf::from(path),
                Some((scheme, _)) => {
                    return Err(format!(
                        "`media.store` is a `{scheme}://` URL; this build keeps media in local \
                         folders only (a path or file:///path)"
                    ));
                }
            };
            let path = std::path::absolute(&path).unwrap_or(path);
            match path.to_str() {
                Some(text) if !text.contains('%') => *store = text.to_string(),
                _ => return Err("`media.store` must be UTF-8 and without `%`".into()),
            }
        }
        if self.ffmpeg.components().count() > 1 {
            self.ffmpeg = folder.join(&self.ffmpeg);
        }
        let within = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!(
                    "`media.{name}` is {value}; expected {low} to {high}"
                ))
            }
        };
        within("parallel", self.parallel as u64, 1, 4)?;
        within("file_bytes_max", self.file_bytes_max, 1, 1 << 40)?;
        within("attempts_max", self.attempts_max.into(), 1, 1000)?;
        within("crashes_max", self.crashes_max.into(), 1, 100)?;
        within("retry_wait_ms", self.retry_wait_ms, 1, 3_600_000)?;
        within("convert_seconds_max", self.convert_seconds_max, 1, 3600)
    }

    /// The `[media]` of a configuration file, read without the rest: a server needs no secret.
    /// Without the file,
    /// without leave to read it, or without the section, the defaults.
    ///
    /// # Errors
    /// What is wrong, without quoting the file.
    pub fn read_alone(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            // A server may run under an account that must not read the secrets in it.
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Ok(Self::default());
            }
            Err(e) => return Err(format!("cannot read the configuration: {e}")),
        };
        let mut whole: toml::Table =
            toml::from_str(&text).map_err(|_| "the configuration is not TOML".to_string())?;
        let mut settings: Self = match whole.remove("media") {
            Some(section) => section.try_into().map_err(|e| format!("[media]: {e}"))?,
            None => Self::default(),
        };
        settings.resolve(path.parent().unwrap_or(Path::new("")))?;
        Ok(settings)
    }

    /// The folder of the store.
    pub fn store_of(&self, home: &huicun_engine::archive::Home) -> PathBuf {
        self.store
            .as_ref()
            .map_or_else(|| home.media(), PathBuf::from)
    }

    /// How voice is converted.
    pub fn converter(
        &self,
        home: &huicun_engine::archive::Home,
    ) -> huicun_engine::media::convert::Converter {
        huicun_engine::media::convert::Converter {
            program: self.ffmpeg.clone(),
            folder: self.store_of(home).join("converted"),
            time_max: Duration::from_secs(self.convert_seconds_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<MediaSettings, String> {
        let mut settings: MediaSettings = toml::from_str(text).map_err(|e| e.to_string())?;
        settings.resolve(Path::new("/etc/huicun"))?;
        Ok(settings)
    }

    #[test]
    fn the_store_is_a_local_folder() {
        let store = |text: &str| resolved(text).map(|settings| settings.store.unwrap());
        assert_eq!(store("store = \"m\"").unwrap(), "/etc/huicun/m");
        assert_eq!(store("store = \"file:///srv/m\"").unwrap(), "/srv/m");
        assert!(
            store("store = \"s3://bucket/m\"")
                .unwrap_err()
                .contains("s3://")
        );
    }

    #[test]
    fn bounds_and_names_are_checked() {
        assert!(resolved("parallel = 5").unwrap_err().contains("parallel"));
        assert!(resolved("paralel = 1").unwrap_err().contains("paralel"));
        assert_eq!(
            resolved("ffmpeg = \"bin/ffmpeg\"").unwrap().ffmpeg,
            Path::new("/etc/huicun/bin/ffmpeg")
        );
        assert_eq!(resolved("").unwrap().ffmpeg, Path::new("ffmpeg"));
    }
}
