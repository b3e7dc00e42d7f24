//! Every error code that Keyward can answer: one row a code, with its status, its title and its documentation page.

/// A code of the error table. `error.type` is the documentation base followed by [`Row::path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is explained by its documentation page, which its row names")]
pub enum Code {
    InvalidInput,
    PreconditionFailed,
    ProtectedResource,
    UnexpectedError,
    AssertionFailed,
    ServiceUnavailable,
    AuthenticationMissing,
    AuthenticationMalformed,
    RootKeyNotFound,
    InsufficientPermissions,
    Forbidden,
    RootKeyDisabled,
    WorkspaceDisabled,
    ApiNotFound,
    KeyNotFound,
    WorkspaceNotFound,
    PermissionNotFound,
    RoleNotFound,
    IdentityNotFound,
    MigrationNotFound,
    NamespaceNotFound,
    NamespaceGone,
    OverrideNotFound,
    DecisionNotFound,
    PermissionAlreadyExists,
    RoleAlreadyExists,
    IdentityAlreadyExists,
    PermissionsQuerySyntaxError,
    KeysLimitExceeded,
    RootKeysLimitExceeded,
    UnknownOperation,
    MethodNotAllowed,
    RequestBodyTooLarge,
    RequestBodyUnreadable,
    RequestHeaderTooLarge,
    RequestTimeout,
    WorkspaceRateLimited,
    AuthenticationRateLimited,
}

/// What the table says about one code.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// `<system>/<category>/<code>`, the stable identifier that clients match on.
    pub path: &'static str,
    /// HTTP status, also found in the body as `error.status`.
    pub status: u16,
    /// `error.title`.
    pub title: &'static str,
    /// The documentation page, Markdown.
    pub page: &'static str,
}

macro_rules! row {
    ($path:literal, $status:literal, $title:literal) => {
        Row {
            path: $path,
            status: $status,
            title: $title,
            page: include_str!(concat!("../../docs/errors/", $path, ".md")),
        }
    };
}

impl Code {
    /// All codes, in the order of the index page.
    pub const ALL: &'static [Self] = &[
        Self::InvalidInput,
        Self::PreconditionFailed,
        Self::ProtectedResource,
        Self::UnexpectedError,
        Self::AssertionFailed,
        Self::ServiceUnavailable,
        Self::AuthenticationMissing,
        Self::AuthenticationMalformed,
        Self::RootKeyNotFound,
        Self::InsufficientPermissions,
        Self::Forbidden,
        Self::RootKeyDisabled,
        Self::WorkspaceDisabled,
        Self::ApiNotFound,
        Self::KeyNotFound,
        Self::WorkspaceNotFound,
        Self::PermissionNotFound,
        Self::RoleNotFound,
        Self::IdentityNotFound,
        Self::MigrationNotFound,
        Self::NamespaceNotFound,
        Self::NamespaceGone,
        Self::OverrideNotFound,
        Self::DecisionNotFound,
        Self::PermissionAlreadyExists,
        Self::RoleAlreadyExists,
        Self::IdentityAlreadyExists,
        Self::PermissionsQuerySyntaxError,
        Self::KeysLimitExceeded,
        Self::RootKeysLimitExceeded,
        Self::UnknownOperation,
        Self::MethodNotAllowed,
        Self::RequestBodyTooLarge,
        Self::RequestBodyUnreadable,
        Self::RequestHeaderTooLarge,
        Self::RequestTimeout,
        Self::WorkspaceRateLimited,
        Self::AuthenticationRateLimited,
    ];

    /// The code's row. Paths, statuses and titles are those of `contract/common.md` section 9 and `contract/decisions.md`.
    #[must_use]
    #[rustfmt::skip]
    pub const fn row(self) -> Row {
        match self {
            Self::InvalidInput => row!("unkey/application/invalid_input", 400, "Bad Request"),
            Self::PreconditionFailed => row!("unkey/application/precondition_failed", 412, "Precondition Failed"),
            Self::ProtectedResource => row!("unkey/application/protected_resource", 412, "Resource is protected"),
            Self::UnexpectedError => row!("unkey/application/unexpected_error", 500, "Internal Server Error"),
            Self::AssertionFailed => row!("unkey/application/assertion_failed", 500, "Internal Server Error"),
            Self::ServiceUnavailable => row!("unkey/application/service_unavailable", 503, "Service Unavailable"),
            Self::AuthenticationMissing => row!("unkey/authentication/missing", 401, "Unauthorized"),
            Self::AuthenticationMalformed => row!("unkey/authentication/malformed", 400, "Bad Request"),
            Self::RootKeyNotFound => row!("unkey/authentication/key_not_found", 401, "Unauthorized"),
            Self::InsufficientPermissions => row!("unkey/authorization/insufficient_permissions", 403, "Forbidden"),
            Self::Forbidden => row!("unkey/authorization/forbidden", 403, "Forbidden"),
            Self::RootKeyDisabled => row!("unkey/authorization/key_disabled", 403, "Key is disabled"),
            Self::WorkspaceDisabled => row!("unkey/authorization/workspace_disabled", 403, "Workspace is disabled"),
            Self::ApiNotFound => row!("unkey/data/api_not_found", 404, "Not Found"),
            Self::KeyNotFound => row!("unkey/data/key_not_found", 404, "Not Found"),
            Self::WorkspaceNotFound => row!("unkey/data/workspace_not_found", 404, "Not Found"),
            Self::PermissionNotFound => row!("unkey/data/permission_not_found", 404, "Not Found"),
            Self::RoleNotFound => row!("unkey/data/role_not_found", 404, "Not Found"),
            Self::IdentityNotFound => row!("unkey/data/identity_not_found", 404, "Not Found"),
            Self::MigrationNotFound => row!("unkey/data/migration_not_found", 404, "Not Found"),
            Self::NamespaceNotFound => row!("unkey/data/ratelimit_namespace_not_found", 404, "Not Found"),
            Self::NamespaceGone => row!("unkey/data/ratelimit_namespace_gone", 410, "Resource Gone"),
            Self::OverrideNotFound => row!("unkey/data/ratelimit_override_not_found", 404, "Not Found"),
            Self::DecisionNotFound => row!("unkey/data/decision_not_found", 404, "Not Found"),
            Self::PermissionAlreadyExists => row!("unkey/data/permission_already_exists", 409, "Conflicting Resource"),
            Self::RoleAlreadyExists => row!("unkey/data/role_already_exists", 409, "Conflicting Resource"),
            Self::IdentityAlreadyExists => row!("unkey/data/identity_already_exists", 409, "Conflicting Resource"),
            Self::PermissionsQuerySyntaxError => row!("user/bad_request/permissions_query_syntax_error", 400, "Bad Request"),
            Self::KeysLimitExceeded => row!("unkey/limits/keys_limit_exceeded", 403, "Forbidden"),
            Self::RootKeysLimitExceeded => row!("unkey/limits/root_keys_limit_exceeded", 403, "Forbidden"),
            Self::UnknownOperation => row!("user/bad_request/unknown_operation", 404, "Not Found"),
            Self::MethodNotAllowed => row!("user/bad_request/method_not_allowed", 405, "Method Not Allowed"),
            Self::RequestBodyTooLarge => row!("user/bad_request/request_body_too_large", 413, "Request Entity Too Large"),
            Self::RequestBodyUnreadable => row!("user/bad_request/request_body_unreadable", 400, "Bad Request"),
            Self::RequestHeaderTooLarge => row!("user/bad_request/request_header_too_large", 431, "Request Header Fields Too Large"),
            Self::RequestTimeout => row!("user/bad_request/request_timeout", 408, "Request Timeout"),
            Self::WorkspaceRateLimited => row!("user/too_many_requests/workspace_rate_limited", 429, "Too Many Requests"),
            Self::AuthenticationRateLimited => row!("user/too_many_requests/authentication_rate_limited", 429, "Too Many Requests"),
        }
    }

    /// The code with this path, if there is one.
    #[must_use]
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.row().path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;
    use std::collections::HashSet;

    #[test]
    fn every_code_is_listed_once_under_a_path_of_its_own() {
        let paths: HashSet<_> = Code::ALL.iter().map(|code| code.row().path).collect();
        assert_eq!(paths.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_path(code.row().path), Some(*code));
        }
        // A variant that was added to the enum and forgotten in the list has a row that the list does not reach.
        let rows = include_str!("code.rs").lines().filter(|line| line.contains("=> row!(\"")).count();
        assert_eq!(rows, Code::ALL.len());
    }

    #[test]
    fn every_page_has_the_sections_a_reader_looks_for() {
        for code in Code::ALL {
            let row = code.row();
            for section in [
                "## What happened",
                "## Common scenarios",
                "## How to fix it",
                "## Common mistakes",
                "## Related codes",
            ] {
                assert!(row.page.contains(section), "{}: no section {section}", row.path);
            }
        }
    }
}
