//! `[jwt]`: whose JWTs open the HTTP API, and what they open.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use huicun_engine::access::{DataScope, Function};
use serde::Deserialize;

/// `[jwt]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtSettings {
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or hold.
    pub audience: String,
    /// A file with the public keys (JWKS); read again when it changes.
    pub jwks_file: Option<PathBuf>,
    /// Where the public keys are fetched from, instead of `jwks_file`: `https://`, or `http://` on
    /// this machine.
    pub jwks_url: Option<String>,
    /// How far clocks may differ, seconds (0 to 600).
    #[serde(default = "clock_skew_seconds")]
    pub clock_skew_seconds: u64,
    /// The claim that names the acting employee (userid).
    #[serde(default = "employee_claim")]
    pub employee_claim: String,
    /// The claim that lists role names.
    #[serde(default = "roles_claim")]
    pub roles_claim: String,
    /// What each role opens.
    #[serde(default)]
    pub role: Vec<JwtRole>,
}

/// `[[jwt.role]]`: what a name in the claim opens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtRole {
    /// The name in the claim.
    pub name: String,
    /// Functions, such as `messages.search`.
    pub functions: BTreeSet<Function>,
    /// `all`, `self`, `departments_below`, `employee:ID,...` or `department:ID,...`.
    #[serde(deserialize_with = "scope")]
    pub scope: DataScope,
}

fn clock_skew_seconds() -> u64 {
    60
}

fn employee_claim() -> String {
    "sub".into()
}

fn roles_claim() -> String {
    "roles".into()
}

fn scope<'de, D: serde::Deserializer<'de>>(from: D) -> Result<DataScope, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl JwtSettings {
    /// The `[jwt]` of a configuration file, read without the rest: a server needs no secret.
    /// `None` without the file, without leave to read it, or without the section.
    ///
    /// # Errors
    /// What is wrong, without quoting the file.
    pub fn read_alone(path: &Path) -> Result<Option<Self>, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Ok(None);
            }
            Err(e) => return Err(format!("cannot read the configuration: {e}")),
        };
        let mut whole: toml::Table =
            toml::from_str(&text).map_err(|_| "the configuration is not TOML".to_string())?;
        let Some(section) = whole.remove("jwt") else {
            return Ok(None);
        };
        let mut settings: Self = section.try_into().map_err(|e| format!("[jwt]: {e}"))?;
        settings.prepare(path.parent().unwrap_or(Path::new("")))?;
        Ok(Some(settings))
    }

    /// Makes the path one that starts at the configuration's folder, and checks the section.
    pub(super) fn prepare(&mut self, folder: &Path) -> Result<(), String> {
        if let Some(file) = &mut self.jwks_file {
            *file = folder.join(&*file);
        }
        self.check()
    }

    /// What is wrong with the section.
    fn check(&self) -> Result<(), String> {
        if self.issuer.is_empty() || self.audience.is_empty() {
            return Err("`jwt.issuer` and `jwt.audience` must not be empty".into());
        }
        match (&self.jwks_file, &self.jwks_url) {
            (Some(_), None) => {}
            (None, Some(url)) if is_safe(url) => {}
            (None, Some(_)) => {
                return Err("`jwt.jwks_url` must begin with https:// (http:// only for \
                            127.0.0.1, [::1] and localhost): who can change the answer can \
                            sign for anybody"
                    .into());
            }
            _ => return Err("[jwt] needs one of `jwks_file` and `jwks_url`".into()),
        }
        if self.clock_skew_seconds > 600 {
            let found = self.clock_skew_seconds;
            return Err(format!(
                "`jwt.clock_skew_seconds` is {found}; expected 0 to 600"
            ));
        }
        let mut names = BTreeSet::new();
        for role in &self.role {
            if !names.insert(&role.name) {
                return Err(format!(
                    "there are two [[jwt.role]] of the name `{}`",
                    role.name
                ));
            }
            if role.functions.is_empty() {
                return Err(format!("[[jwt.role]] `{}` has no functions", role.name));
            }
        }
        Ok(())
    }
}

/// Whether nobody on the way can put other keys into the answer.
fn is_safe(url: &str) -> bool {
    let local = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
    let is_local = local.iter().any(|start| {
        let rest = url.strip_prefix(start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    url.starts_with("https://") || is_local
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<JwtSettings, String> {
        let settings: JwtSettings = toml::from_str(text).map_err(|e| e.to_string())?;
        settings.check().map(|()| settings)
    }

    const HEAD: &str = "issuer = \"scrm\"\naudience = \"huicun\"\n";

    #[test]
    fn a_section_is_read_and_its_mistakes_are_told() {
        let role = "[[role]]\nname = \"m\"\nfunctions = [\"sql\"]\nscope = \"self\"\n";
        let good = read(&format!("{HEAD}jwks_file = \"k.json\"\n{role}")).unwrap();
        assert_eq!(good.role[0].scope, DataScope::Own);
        assert_eq!(good.clock_skew_seconds, 60);
        for (rest, told) in [
            ("", "one of"),
            ("jwks_file = \"k\"\njwks_url = \"https://x\"\n", "one of"),
            ("jwks_url = \"http://scrm.example/keys\"\n", "https://"),
            (
                "jwks_url = \"http://127.0.0.1.evil.example/\"\n",
                "https://",
            ),
            ("jwks_file = \"k\"\nclock_skew_seconds = 601\n", "0 to 600"),
            ("jwks_file = \"k\"\nsecret = \"x\"\n", "secret"),
        ] {
            let problem = read(&format!("{HEAD}{rest}")).unwrap_err();
            assert!(problem.contains(told), "{rest}: {problem}");
        }
        for (from, to, told) in [
            ("sql", "sqll", "no function `sqll`"),
            ("self", "selves", "unknown scope"),
            ("[\"sql\"]", "[]", "no functions"),
        ] {
            let text = format!("{HEAD}jwks_file = \"k\"\n{}", role.replace(from, to));
            let problem = read(&text).unwrap_err();
            assert!(problem.contains(told), "{problem}");
        }
        let twice = format!("{HEAD}jwks_file = \"k\"\n{role}{role}");
        assert!(read(&twice).unwrap_err().contains("two"));
        assert!(read(&format!("{HEAD}jwks_url = \"http://[::1]:80/k\"\n")).is_ok());
    }
}
