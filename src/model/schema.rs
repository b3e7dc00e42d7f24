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
    }
}

diesel::joinable!(keys -> apis (api_id));
diesel::joinable!(sealed_keys -> keys (key_id));
diesel::joinable!(root_keys -> workspaces (workspace_id));
diesel::allow_tables_to_appear_in_same_query!(workspaces, root_keys, apis, keys, sealed_keys, audit_log);
