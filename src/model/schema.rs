//! The tables as diesel sees them. A test compares this file with the migrated database.
#![expect(missing_docs, reason = "columns are explained in the migrations, once")]

diesel::table! {
    workspaces (id) {
        id -> Text,
        name -> Text,
        enabled -> Bool,
        requests_per_minute -> Nullable<Integer>,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
        keys_max -> Nullable<BigInt>,
        root_keys_max -> Nullable<BigInt>,
    }
}

diesel::table! {
    root_keys (id) {
        id -> Text,
        workspace_id -> Text,
        hash -> Bytea,
        start -> Text,
        last_characters -> Text,
        name -> Nullable<Text>,
        enabled -> Bool,
        permissions -> Array<Text>,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    apis (id) {
        id -> Text,
        workspace_id -> Text,
        name -> Text,
        default_prefix -> Nullable<Text>,
        default_bytes -> Nullable<Integer>,
        recoverable -> Bool,
        delete_protection -> Bool,
        ip_whitelist -> Array<Text>,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    keys (id) {
        id -> Text,
        workspace_id -> Text,
        api_id -> Text,
        hash -> Bytea,
        start -> Text,
        prefix -> Nullable<Text>,
        byte_length -> Nullable<Integer>,
        name -> Nullable<Text>,
        meta -> Nullable<Json>,
        enabled -> Bool,
        expires_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
        deleted_at -> Nullable<Timestamptz>,
        identity_id -> Nullable<Text>,
        pending_migration_id -> Nullable<Text>,
    }
}

diesel::table! {
    permissions (id) {
        id -> Text,
        workspace_id -> Text,
        slug -> Text,
        name -> Text,
        description -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    roles (id) {
        id -> Text,
        workspace_id -> Text,
        name -> Text,
        description -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    role_permissions (role_id, permission_id) {
        role_id -> Text,
        permission_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    identities (id) {
        id -> Text,
        workspace_id -> Text,
        external_id -> Text,
        meta -> Nullable<Json>,
        enabled -> Bool,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    key_permissions (key_id, permission_id) {
        key_id -> Text,
        permission_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    key_roles (key_id, role_id) {
        key_id -> Text,
        role_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    identity_permissions (identity_id, permission_id) {
        identity_id -> Text,
        permission_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    identity_roles (identity_id, role_id) {
        identity_id -> Text,
        role_id -> Text,
        workspace_id -> Text,
    }
}

diesel::table! {
    migrations (id) {
        id -> Text,
        workspace_id -> Text,
        name -> Text,
        algorithm -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    sealed_keys (key_id) {
        key_id -> Text,
        workspace_id -> Text,
        master_key_id -> Text,
        nonce -> Bytea,
        ciphertext -> Bytea,
    }
}

diesel::table! {
    audit_log (id) {
        id -> Text,
        workspace_id -> Text,
        at -> Timestamptz,
        event -> Text,
        actor_type -> Text,
        actor_id -> Text,
        actor_name -> Text,
        display -> Text,
        address -> Nullable<Text>,
        user_agent -> Nullable<Text>,
        correlation_id -> Text,
        resources -> Jsonb,
        sequence -> Nullable<BigInt>,
        hash -> Nullable<Bytea>,
        changes -> Nullable<Json>,
    }
}

diesel::table! {
    audit_heads (workspace_id) {
        workspace_id -> Text,
        sequence -> BigInt,
        hash -> Bytea,
        sealed_at -> Timestamptz,
    }
}

diesel::table! {
    credits (key_id) {
        key_id -> Text,
        workspace_id -> Text,
        remaining -> BigInt,
        refill_amount -> Nullable<BigInt>,
        refill_day -> Nullable<Integer>,
        refilled_at -> Timestamptz,
    }
}

diesel::table! {
    rate_limits (id) {
        id -> Text,
        workspace_id -> Text,
        key_id -> Nullable<Text>,
        identity_id -> Nullable<Text>,
        name -> Text,
        limit -> BigInt,
        duration_ms -> BigInt,
        auto_apply -> Bool,
    }
}

diesel::table! {
    namespaces (id) {
        id -> Text,
        workspace_id -> Text,
        name -> Text,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    overrides (id) {
        id -> Text,
        workspace_id -> Text,
        namespace_id -> Text,
        identifier -> Text,
        limit -> BigInt,
        duration_ms -> BigInt,
        created_at -> Timestamptz,
        updated_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    counters (counter) {
        counter -> Bytea,
        duration_ms -> BigInt,
        sequence -> BigInt,
        current -> BigInt,
        previous -> BigInt,
        worthless_at -> Timestamptz,
    }
}

diesel::table! {
    nodes (id) {
        id -> Text,
        version -> Text,
        limiter -> Text,
        started_at -> Timestamptz,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    verifications (at, request_id) {
        at -> Timestamptz,
        workspace_id -> Text,
        api_id -> Text,
        key_id -> Text,
        identity_id -> Nullable<Text>,
        external_id -> Nullable<Text>,
        outcome -> Text,
        tags -> Array<Text>,
        credits_spent -> BigInt,
        request_id -> Text,
        times -> Nullable<Array<Timestamptz>>,
        request_ids -> Nullable<Array<Text>>,
        credits -> Nullable<Array<BigInt>>,
    }
}

diesel::table! {
    usage_hourly (workspace_id, at, series) {
        workspace_id -> Text,
        at -> Timestamptz,
        series -> Bytea,
        api_id -> Text,
        key_id -> Text,
        external_id -> Nullable<Text>,
        outcome -> Text,
        tags -> Array<Text>,
        count -> BigInt,
        credits_spent -> BigInt,
    }
}

diesel::table! {
    usage_daily (workspace_id, at, series) {
        workspace_id -> Text,
        at -> Timestamptz,
        series -> Bytea,
        api_id -> Text,
        key_id -> Text,
        external_id -> Nullable<Text>,
        outcome -> Text,
        tags -> Array<Text>,
        count -> BigInt,
        credits_spent -> BigInt,
    }
}

diesel::table! {
    event_writers (id) {
        id -> Text,
        batch -> BigInt,
        at -> Timestamptz,
    }
}

diesel::table! {
    decisions (request_id, at) {
        request_id -> Text,
        at -> Timestamptz,
        last_at -> Timestamptz,
        count -> BigInt,
        workspace_id -> Nullable<Text>,
        operation -> Text,
        code -> Text,
        root_key_id -> Nullable<Text>,
        key_id -> Nullable<Text>,
        external_id -> Nullable<Text>,
        record -> Json,
    }
}

diesel::table! {
    decision_requests (second, first_request_id, at) {
        second -> BigInt,
        request_ids -> Array<Text>,
        first_request_id -> Text,
        at -> Timestamptz,
        decision_id -> Text,
    }
}

diesel::joinable!(keys -> apis (api_id));
diesel::joinable!(credits -> keys (key_id));
diesel::joinable!(overrides -> namespaces (namespace_id));
diesel::joinable!(sealed_keys -> keys (key_id));
diesel::joinable!(root_keys -> workspaces (workspace_id));
diesel::joinable!(keys -> identities (identity_id));
diesel::joinable!(role_permissions -> permissions (permission_id));
diesel::joinable!(role_permissions -> roles (role_id));
diesel::joinable!(key_permissions -> permissions (permission_id));
diesel::joinable!(key_roles -> roles (role_id));
diesel::joinable!(identity_permissions -> permissions (permission_id));
diesel::joinable!(identity_roles -> roles (role_id));
diesel::allow_tables_to_appear_in_same_query!(
    workspaces,
    root_keys,
    apis,
    keys,
    sealed_keys,
    audit_log,
    audit_heads,
    permissions,
    roles,
    role_permissions,
    identities,
    key_permissions,
    key_roles,
    identity_permissions,
    identity_roles,
    migrations,
    credits,
    rate_limits,
    namespaces,
    overrides,
    counters,
    nodes,
    verifications,
    usage_hourly,
    usage_daily,
    event_writers,
    decisions,
    decision_requests,
);
