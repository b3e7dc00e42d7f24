//! Presets: names for sets of permissions, expanded to tuples when a root key is minted.

use crate::authz::action::Action;

/// A named set of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Everything.
    Admin,
    /// What a service needs that verifies keys and asks for limits.
    Verify,
    /// Everything that reads and never shows a secret.
    Readonly,
}

impl Preset {
    /// All presets.
    pub const ALL: &'static [Self] = &[Self::Admin, Self::Verify, Self::Readonly];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Verify => "verify",
            Self::Readonly => "readonly",
        }
    }

    /// The tuples that it stands for.
    #[must_use]
    pub fn tuples(self) -> Vec<String> {
        let holds = |action: &&Action| match self {
            Self::Admin => true,
            Self::Verify => matches!(action, Action::VerifyKey | Action::Limit),
            Self::Readonly => action.name().starts_with("read_") || action.name().starts_with("list_"),
        };
        Action::ALL.iter().filter(holds).map(|action| action.on("*")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Preset;

    #[test]
    fn readonly_neither_writes_nor_reveals() {
        let tuples = Preset::Readonly.tuples();
        for word in ["create", "update", "delete", "decrypt", "encrypt", "verify", "set_", "add_", "remove"] {
            assert!(!tuples.iter().any(|tuple| tuple.contains(word)), "{word}");
        }
        assert!(tuples.contains(&"api.*.read_key".to_owned()));
    }
}
